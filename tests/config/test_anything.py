"""Whatever a user writes, options are refused with one line or taken as they are said (Hypothesis)."""

from dataclasses import fields
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from crild.config import as_dict, build, read_yaml
from crild.config.arguments import flag, parse
from crild.config.declare import choices_of, type_of
from crild.errors import CrildError
from crild.grid.space import read_space, read_text
from crild.grid.spec import cells, make_grid
from tests.config.values import VERBS
from tests.grid.grids import grid

quickly = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
LINE_ENDS = "\x85\u2028\u2029"  # to PyYAML, which writes them into a line as they are
texts = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0" + LINE_ENDS))
plain = some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.dates() | some.binary()
anything = some.recursive(
    plain,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
)
verbs = some.sampled_from([cls for cls in VERBS.values() if len(fields(cls)) > 1])


def one_line(call: Any) -> Any:
    """What a call returns; it may raise `CrildError` alone, in a line that is no novel."""
    try:
        return call()
    except CrildError as error:
        said = str(error)
    assert said.strip()
    assert len(said) < 3000
    return None


def sound_values(cls: type) -> some.SearchStrategy[dict[str, Any]]:
    """Values that options take, of some of them."""
    each: dict[str, some.SearchStrategy] = {}
    for option in fields(cls):
        kind, bounds = type_of(cls, option.name), option.metadata
        if choices := choices_of(cls, option.name):
            each[option.name] = some.sampled_from(choices)
        elif kind is bool:
            each[option.name] = some.booleans()
        elif kind is int:
            each[option.name] = some.integers(int(bounds["ge"]), int(bounds.get("le", 2**40)))
        elif kind is float:
            low = bounds["ge"] if "ge" in bounds else bounds["gt"]
            each[option.name] = some.floats(low, bounds.get("le"), exclude_min="gt" in bounds, allow_infinity=False)
        else:
            each[option.name] = some.lists(texts, max_size=3).map(tuple) if kind is tuple else texts
    return some.fixed_dictionaries({}, optional=each)


@quickly
@given(some.data())
def test_sound_options_go_through_yaml_and_back(tmp_path_factory, data):
    cls = data.draw(verbs)
    config = build(cls, data.draw(sound_values(cls)))
    path = tmp_path_factory.getbasetemp() / "sound.yaml"
    said = {name: list(value) if isinstance(value, tuple) else value for name, value in as_dict(config).items()}
    path.write_text(yaml.safe_dump(said, allow_unicode=data.draw(some.booleans())), encoding="utf-8")
    assert build(cls, read_yaml(str(path))) == config
    assert build(cls, as_dict(config)) == config


@quickly
@given(some.data())
def test_any_value_of_any_option_is_taken_or_refused(data):
    cls = data.draw(verbs)
    names = some.sampled_from([each.name for each in fields(cls)]) | texts
    values = data.draw(some.dictionaries(names, anything, min_size=1, max_size=3))
    one_line(lambda: build(cls, values, "r.yaml"))


fragments = some.sampled_from(
    ["seed: 3", "epochs:", "- ", "  ", "\n", "&a ", "*a", "<<: *a", "[", "]", "{", "}", ": ", "!!int ", "!!set ",
     "!!omap ", "!!timestamp ", "!!binary ", "2026-13-45", "? ", "|", ">", "---\n", "%YAML 9\n", "'", '"', "\\x", "\t",
     "#", "~", "0o9", "1:99", ".nan", "\ufeff", "\x85", "!<x>", "@", "`"]
)  # fmt: skip
written = some.lists(fragments | texts, max_size=12).map("".join) | anything.map(yaml.dump)


@quickly
@given(content=written.map(lambda text: text.encode("utf-8", "replace")) | some.binary(max_size=60))
def test_any_file_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    values = one_line(lambda: read_yaml(str(path)))
    if values is not None:
        one_line(lambda: build(VERBS["distill"], values, str(path)))
        one_line(lambda: make_grid(values, str(path)))


@quickly
@given(some.data())
def test_any_command_line_is_parsed_or_refused(data):
    cls = data.draw(verbs)
    flags = some.sampled_from([*(flag(each.name) for each in fields(cls)), "--", "-", "--config", "--no-control"])
    typed = data.draw(some.lists(flags | texts.filter(lambda text: not text.startswith("-")), max_size=6))
    one_line(lambda: parse(cls, typed, "x", "x", fields(cls)[0].name))


@quickly
@given(some.data())
def test_any_grid_is_read_or_refused(data):
    entries = some.sampled_from(
        [*grid(), "claim", "conditions", "seeds", "data_seeds", "teacher_seeds", "tune", "threads"]
    )
    known = some.sampled_from(
        ["kd", "ft", "cr-ild", {"kd": {"epochs": 2}}, [1, 2], 3, {"search": {"kd_learning_rate": "1:2"}}, "a/b", "..",
         {"x": {"data": "y"}}, {"base": "b"}]
    )  # fmt: skip
    changes = data.draw(some.dictionaries(entries, known | some.lists(known, max_size=3) | anything, max_size=3))
    made = one_line(lambda: make_grid(grid(**changes)))
    if made is not None:
        for cell in one_line(lambda: cells(made)) or ():
            assert ".." not in cell.folder.split("/")


words = some.sampled_from(["temperature", "=", ":", ",", "|", "0.1", "2", "keep", "best", "[", "&a", "*a"])


@quickly
@given(said=some.lists(words | texts, max_size=8).map("".join))
def test_any_search_is_read_or_refused(said):
    one_line(lambda: read_space(read_text(said), "--search"))
