"""What SECURITY.md promises of crild's own code."""

import ast
import re
from pathlib import Path

import crild

SOURCES = sorted(Path(crild.__file__).parent.rglob("*.py"))
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNNERS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "load_module",
    "unsafe_load",
    "full_load",
    "system",
}


def calls(path):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def called(node):
    return ast.unparse(node.func)


def test_nothing_is_unpickled_and_no_text_is_run():
    assert len(SOURCES) > 100
    for path in SOURCES:
        refuse_runners(path)


def refuse_runners(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.partition(".")[0] for alias in node.names} | {getattr(node, "module", None)}
            assert not names & UNPICKLERS
    for node in calls(path):
        name = called(node)
        assert name not in RUNNERS
        assert name.rpartition(".")[2] not in RUNNERS - {"eval", "compile"}  # a model's own, a pattern's
        assert name not in ("torch.load", "np.load", "numpy.load", "pd.read_pickle")
        if name == "yaml.load":
            assert ast.unparse(node.args[1]) == "_Loader"  # a SafeLoader


def test_only_a_plugin_is_run():
    assert [path.stem for path in SOURCES for node in calls(path) if called(node).startswith("runpy.")] == [
        "composition"
    ]


def test_weights_are_read_from_safetensors_alone():
    loads = [
        (path.stem, {word.arg: ast.unparse(word.value) for word in node.keywords})
        for path in SOURCES
        for node in calls(path)
        if re.search(r"from_pretrained$", called(node)) and not re.search("(?i)tokenizer|config", called(node))
    ]
    assert {stem for stem, _ in loads} >= {"loading", "trainer"}
    assert all(words["use_safetensors"] == "True" for _, words in loads)
