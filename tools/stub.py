"""``src/crild/__init__.pyi``: what an editor and a type checker know of the public functions, with every option.

python -m tools.stub        (part of `make docs`)
"""

import ast
import inspect
import textwrap
from pathlib import Path

import crild

STUB = Path(crild.__file__).with_suffix(".pyi")
HEADER = """\
# Written by `make docs` from the functions and the options that they take: an editor completes and explains them.
from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal

from datasets import Dataset, DatasetDict
from pandas import DataFrame
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from crild.checking import Examination
from crild.data.suspects import Suspicious
from crild.diagnostics.diagnosis import Diagnosis
from crild.grid.status import GridStatus
from crild.pareto.result import Frontier
from crild.run.result import Evaluation, Result
from crild.run.status import Status
from crild.serving.result import Export
"""


def stub() -> str:
    """Return the text of the stub."""
    homes = {name: vars(crild)["_HOME"].get(name, "crild.errors") for name in crild.__all__}
    public = {name: getattr(crild, name) for name in homes}
    written = [name for name, each in public.items() if inspect.isfunction(each) and hasattr(each, "__signature__")]
    imports = [f"from {home} import {name} as {name}" for name, home in homes.items() if name not in written]
    exported = f"__version__: str\n__all__ = {crild.__all__!r}\n"
    return "\n".join([HEADER + "\n".join(imports), "", exported, *map(declared, written)])


def declared(name: str) -> str:
    """Return the declaration of a function, with its documentation."""
    function = getattr(crild, name)
    node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert node.returns is not None
    own = {
        each.arg: ast.unparse(each.annotation) for each in [*node.args.args, *node.args.kwonlyargs] if each.annotation
    }
    lines, keywords = [], False
    for each in inspect.signature(function).parameters.values():
        if each.kind == inspect.Parameter.KEYWORD_ONLY and not keywords:
            keywords = True
            lines.append("*")
        lines.append(f"{each.name}: {own.get(each.name, each.annotation)} = {each.default!r}")
    text = textwrap.indent(f'"""{function.__doc__}\n"""', "    ")
    return f"def {name}(\n    " + ",\n    ".join(lines) + f",\n) -> {ast.unparse(node.returns)}:\n{text}\n    ...\n"


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
