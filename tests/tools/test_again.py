"""One committed row again."""

import json
import subprocess
from pathlib import Path

import pytest

from crild.grid.run import select
from crild.grid.spec import cells, read_grid
from tools import again
from tools.committed import FIRST_ROUND, ROOT, command, contents, current, grid_file, name_of


def test_a_row_is_drawn_among_all_that_a_cpu_made_with_this_version():
    drawn = {(grid, name_of(run)) for grid, run in again.rows()}
    assert len(drawn) == len(again.rows())  # a teacher of two conditions is there once
    assert {grid for grid, _ in drawn} == {
        name for name in current() if all(m["machine"]["gpu"] is None for m in contents(name)["machines"])
    }
    for grid, run in again.rows("smoke"):
        only = command(grid, name_of(run), "out")[-1]
        *teacher, cell = select(cells(read_grid(str(grid_file("smoke")))), only)
        assert (cell.name, cell.folder) == (only, run["folder"])
        assert [each.folder for each in teacher] == ([cell.teacher] if cell.teacher else [])


def test_who_asks_for_a_row_of_the_notebook_is_told_the_commit(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["again.py", "--grid", "ten_passes"])
    with pytest.raises(SystemExit) as stop:
        again.main()
    assert stop.value.code == 2
    assert f"git checkout {FIRST_ROUND}" in capsys.readouterr().err
    assert f"`{FIRST_ROUND}`" in (ROOT / "docs/notebook/2026-11-first-round.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("change", "code"), [(0.0, 0), (1e-9, 1)])
def test_another_score_is_told(change, code, monkeypatch, capsys):
    (committed,) = [run for _, run in again.rows("smoke") if name_of(run).endswith("few rows, ft, seed 2")]

    def pretend(words, cwd):  # crild compare: what it would have written
        out = Path(words[words.index("--output") + 1]) / "results.json"
        out.write_text(json.dumps({"runs": [{**committed, "score": committed["score"] + change}]}))
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(again.subprocess, "run", pretend)
    monkeypatch.setattr(again, "rows", lambda grid: [("smoke", committed)])
    monkeypatch.setattr("sys.argv", ["again.py", "--grid", "smoke"])
    with pytest.raises(SystemExit) as stop:
        again.main()
    assert stop.value.code == code
    assert ("the same" if code == 0 else "ANOTHER") in capsys.readouterr().out


def test_a_run_that_fails_is_one_line(monkeypatch):
    monkeypatch.setattr(again.subprocess, "run", lambda words, cwd: subprocess.CompletedProcess(words, 2))
    monkeypatch.setattr("sys.argv", ["again.py", "--grid", "further_pairs"])
    with pytest.raises(SystemExit) as stop:
        again.main()
    assert str(stop.value.code).endswith("see above; experiments/further_pairs.yaml says what data it needs")


def test_teachers_that_share_a_name_are_not_drawn():
    names = [name_of(run) for _, run in again.rows("levers_noise")]
    assert len(names) == len(set(names)) > 10
    assert not [name for name in names if ", teacher, seed 42" in name]  # three, for what is kept is theirs too
    assert [name for name in names if ", cr-ild, seed 42" in name]
