"""What is seen of a grid's students: only finished ones, each once, the same call going on where it was."""

import json

import pytest
import yaml

from benchmarks import overfitting
from benchmarks.overfitting import finished, look, main, rounded
from crild.grid.spec import cells, make_grid


@pytest.fixture
def folder(tmp_path):
    """A grid of kd on two seeds, of which one run is finished, as is the student without a teacher."""
    values = {"tasks": {"films": {}}, "methods": {"kd": {}}, "seeds": [1, 2], "options": {"base": "enc", "student": 2}}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(values))
    for cell in cells(make_grid(values)):
        (tmp_path / cell.folder).mkdir(parents=True)
        if cell.seed == 1:
            (tmp_path / cell.folder / "result.json").write_text("{}")
    return tmp_path


def test_finished_students_with_a_teacher_are_looked_at_once(folder, tmp_path, monkeypatch):
    output, seen = tmp_path / "found.json", []
    monkeypatch.setattr(overfitting, "look", lambda name, run, plane: seen.append((name, plane)) or {"score": 0.5})
    assert list(finished(folder)) == [("films", "kd", 1)]
    main([str(folder), "--output", str(output)])
    main([str(folder), "--output", str(output)])
    assert seen == [("films, kd, 1", True)]
    (folder / "runs/films/full/kd/2/result.json").write_text("{}")
    main([str(folder), "--output", str(output)])
    assert seen[1:] == [("films, kd, 2", False)]  # the plane is of the first seed alone
    held = json.loads(output.read_text())
    assert [(each["task"], each["method"], each["seed"]) for each in held["students"]] == [
        ("films", "kd", 1), ("films", "kd", 2),
    ]  # fmt: skip
    assert output.read_text().count("\n") == 4  # a line each


def test_a_run_that_cannot_be_opened_is_left_out_and_no_grid_is_one_line(folder, tmp_path, caplog):
    main([str(folder), "--output", str(tmp_path / "found.json")])
    assert not (tmp_path / "found.json").exists()
    assert "films, kd, 1: left out: " in caplog.text
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "nowhere")])
    assert stop.value.code == 2


def test_the_figures_of_a_run(student_run, monkeypatch):
    monkeypatch.setattr(overfitting, "ROWS", 16)
    found = look("films", student_run, plane=True)
    assert json.loads(json.dumps(found)) == found
    assert {"train", "held_out"} == set(found["stages"]["kd"]["kd"])
    assert {"train", "held_out", "gap"} == set(found["fit"]["score"])
    noise = found["noise"]["held_out"]["score"]
    assert len(noise["draws"][0]) == len(noise["mean"]) == len(found["noise"]["scales"])
    side, line = found["surface"]["plane_at"], found["surface"]["line"]
    assert len(line["train"]["task"]) == len(line["held_out"]["task"]) == len(found["surface"]["line_at"])
    square = found["surface"]["plane"]["train"]["task"]
    assert len(square) == len(square[0]) == len(side)
    assert square[side.index(0)][side.index(0)] == pytest.approx(line["train"]["task"][5])  # both are the student
    assert found["curvature"] > 0


def test_numbers_are_short_and_what_is_none_is_none():
    assert rounded({"a": [0.123456789, float("inf"), 3], "b": "x"}) == {"a": [0.12346, None, 3], "b": "x"}
