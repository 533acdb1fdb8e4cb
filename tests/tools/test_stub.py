"""The stub that editors read is the one that the code gives."""

import ast
import inspect

import crild
from tools.stub import STUB, stub


def test_it_is_what_the_options_say():
    assert STUB.read_text(encoding="utf-8") == stub(), "run `make docs`"


def test_it_has_every_public_name_and_the_signatures_that_functions_have():
    body = ast.parse(stub()).body
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    imported = {alias.asname for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(crild.__all__) <= imported | set(functions)
    for name, node in functions.items():
        written = [each.arg for each in (*node.args.args, *node.args.kwonlyargs)]
        assert written == list(inspect.signature(getattr(crild, name)).parameters)
