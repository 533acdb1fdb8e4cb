"""The fuzz run: what it calls a failure, and a short one that has none."""

from pathlib import Path

import pytest

from tools import fuzz


@pytest.mark.parametrize(
    ("code", "said", "wrong"),
    [
        (0, "warning: odd\n", ""),
        (2, "crild 0.1.0: reading x\ncrild: error: x: no\n", ""),
        (1, "KeyError: 'x'\n", "exit code 1"),
        (0, "Traceback (most recent call last):\n", "a traceback"),
        (2, "no\n", "0 lines of an error"),
        (2, "crild: error: x\nand more\n", "1 lines of an error"),
        (2, "crild: error: x\ncrild: error: y\n", "2 lines of an error"),
    ],
)
def test_what_fails(code, said, wrong, tmp_path):
    assert fuzz.judged(code, said, tmp_path / "out").wrong == wrong


def test_something_that_is_left_behind_fails(tmp_path):
    (tmp_path / "out.csv.part").touch()
    assert fuzz.judged(2, "crild: error: x\n", tmp_path / "out").wrong == "something was written"


def test_a_case_that_breaks_down_fails_and_is_kept(tmp_path, monkeypatch):
    def break_down(arguments):
        raise KeyError(arguments[0])

    world = [fuzz.Target(tmp_path / "d.csv", ("d.csv",), (("check", "{}"),))]
    (tmp_path / "d.csv").write_text("text,label\n")
    monkeypatch.setattr(fuzz, "make_world", lambda folder: world)
    monkeypatch.setattr("crild.cli.main", break_down)
    counts, failures = fuzz.fuzz(tmp_path, 60.0, 0, tmp_path / "kept", most=1)
    assert [failure.partition(":")[0] for failure in failures] == ["sound files", "exit code 1"]
    assert "KeyError" in failures[1]
    assert [path.name for path in (tmp_path / "kept/0-1").iterdir()] == ["d.csv"]
    assert counts.total() == 1


def test_a_short_run_finds_nothing(tmp_path: Path):
    counts, failures = fuzz.fuzz(tmp_path, 60.0, 1, tmp_path / "kept", most=60)
    assert not failures, failures[0]
    assert counts.total() == 60
    assert {name.partition(" ")[0] for name in counts} >= {"check", "distill", "evaluate", "predict"}
