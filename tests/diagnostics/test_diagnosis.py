"""What is printed of a diagnosis."""

from io import StringIO

from rich.console import Console

from crild.diagnostics.diagnose import finite
from crild.diagnostics.diagnosis import COLUMNS, Diagnosis, Examined, names_of, screen

WHOLE = {name: 0.12345 * (place - 3) for place, name in enumerate(COLUMNS)}


def examined(name, summary, left_out=None):
    return Examined(name, f"/runs/{name}", "accuracy", {}, summary, left_out or {})


def printed(*runs):
    file = StringIO()
    Console(file=file, width=80, highlight=False).print(screen(Diagnosis(runs)))
    return file.getvalue().splitlines()


def test_every_column_and_a_long_name_stay_in_80_columns():
    lines = printed(
        examined("a-very-long-[red]name-of-a-run" * 3, {"teacher": WHOLE, "student": WHOLE | {"curvature": 12345.6}}),
        examined("kd", {"student": {"score": 0.5, "drop": None}}),
    )
    assert max(map(len, lines)) <= 80
    assert lines[0] == "score: accuracy"
    assert any("-0.247" in line and "1.23e+04" in line for line in lines)
    last = next(line for line in lines if line.startswith("kd")).split()
    assert last == ["kd", "student", "0.500", *["-"] * (len(COLUMNS) - 1)]
    assert "[red]" in "".join(lines).replace(" ", "")
    assert len([line for line in lines if line.split()[:1] and line.split()[0] in COLUMNS]) >= len(COLUMNS)


def test_a_column_that_no_run_has_is_left_out():
    lines = printed(examined("kd", {"student": {"score": 0.5}}))
    assert lines[1].split() == ["run", "model", "score"]
    assert not any(line.startswith("flips") for line in lines)


def test_what_is_left_out_is_said_once_a_run():
    one = Diagnosis((examined("a", {"student": {}}, {"noise": "too long"}),))
    assert one.remarks == ["noise is left out: too long"]
    two = Diagnosis((*one.runs, examined("b", {"student": {}}, {"cka": "no teacher"})))
    assert two.remarks == ["a: noise is left out: too long", "b: cka is left out: no teacher"]
    assert list(two) == ["a", "b"]
    assert two["b"]["left_out"] == {"cka": "no teacher"}


def test_numbers_that_json_does_not_know_are_missing():
    found = finite({"a": [float("nan"), 1.0, {"b": float("inf"), "c": "text", "d": True}]})
    assert found == {"a": [None, 1.0, {"b": None, "c": "text", "d": True}]}


def test_names_are_folders_unless_two_are_called_alike():
    assert names_of(["a/x", "b/y/"]) == ["x", "y"]
    assert names_of(["a/x", "b/x", "c"]) == ["a/x", "b/x", "c"]
