"""How far a grid is: its runs in every state, what failed, and about how long the rest takes."""

import json
import os

import pytest

from crild.grid.spec import Tuning, cells, log_of, read_grid
from crild.grid.status import status_of_grid
from crild.run.folder import RunFolder
from tests.run.test_status import write

GRID = {
    "tasks": {"films": {"data": "films.csv"}},
    "methods": ["kd", "cr-ild"],
    "seeds": [1, 2],
    "options": {"base": "encoder"},
    "baseline": "kd",
}


@pytest.fixture
def grid(tmp_path):
    (tmp_path / "grid.yaml").write_text(json.dumps(GRID))
    return tmp_path, {(cell.method, cell.seed): cell for cell in cells(read_grid(str(tmp_path / "grid.yaml")))}


def finish(folder, cell, minutes):
    who = "teacher" if cell.method == "teacher" else "student"
    write(folder / cell.folder / "config.yaml", {})
    result = {"teacher": {"score": 0.9}, who: {"score": 0.8}, "minutes": minutes, "metric": "accuracy"}
    write(folder / cell.folder / "result.json", result)


def test_every_run_of_a_grid_is_counted_by_its_state(grid):
    folder, jobs = grid
    first, second, third = (jobs[each] for each in (("kd", 1), ("kd", 2), ("cr-ild", 1)))
    teacher = jobs["teacher", 42]
    finish(folder, teacher, 10.0)
    finish(folder, first, 4.0)
    write(folder / second.folder / "config.yaml", {})
    write(folder / "results.json", {"runs": [{"folder": second.folder, "error": "ValueError: no"}]})
    write(log_of(folder, third), None)
    log_of(folder, third).write_text("a line\ncrild: error: the disk is full\n")
    with RunFolder(folder / third.folder).locked():  # it is tried again
        found = status_of_grid(folder)
        assert found.runs[third.name].state == "running"
        assert found.counts == {"finished": 2, "running": 1, "failed": 1, "not started": 3}
    found = status_of_grid(folder)
    assert found.errors == {second.name: "ValueError: no", third.name: "the disk is full"}
    assert found.minutes == 14.0
    # a run of kd takes 4 minutes; those of cr-ild and without a teacher (ft) as long as any
    assert found.minutes_left == pytest.approx(4 + 4 * 7)
    lines = str(found).splitlines()
    assert lines[0] == f"{folder}: 7 runs: 2 finished, 2 failed, 3 not started"
    failed = {second.name: "ValueError: no", third.name: "the disk is full"}
    assert set(lines[1:3]) == {f"  {name}: failed: {error}" for name, error in failed.items()}
    assert found.to_dict()["runs"][third.name]["error"] == "the disk is full"


def test_a_search_for_settings_is_a_job(grid):
    folder, _ = grid
    (folder / "grid.yaml").write_text(json.dumps(GRID | {"tune": {"trials": 2}, "methods": ["kd"]}))
    search, _ = (cell for cell in cells(read_grid(str(folder / "grid.yaml"))) if isinstance(cell, Tuning))
    assert status_of_grid(folder).runs[search.name].state == "not started"
    with RunFolder(folder / search.folder).locked():
        found = status_of_grid(folder).runs[search.name]
        assert (found.state, found.process) == ("running", os.getpid())
    assert status_of_grid(folder).runs[search.name].state == "interrupted"
    write(folder / search.folder / "trials.json", {"minutes": 5.0, "score": 0.7})
    assert status_of_grid(folder).runs[search.name].state == "finished"
    assert status_of_grid(folder).minutes_left is None  # nobody knows how long its teachers take
