"""`crild status`: of whatever folder, without torch."""

import json
import subprocess
import sys

from crild.checkpoints import seal
from tests.conftest import complaint
from tests.grid.test_status import GRID
from tests.run.test_status import write


def test_a_run_a_grid_or_a_frontier_is_told_apart(tmp_path, cli):
    run, grid = tmp_path / "run", tmp_path / "grid"
    write(run / "config.yaml", {})
    write(run / "plan.json", {"stages": [{"name": "kd", "title": "KD", "steps": 30}]})
    write(run / "stages/kd/checkpoint-20/trainer_state.json", {})
    seal(run / "stages/kd/checkpoint-20")
    code, out, err = cli("status", run)
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        f"{run}: interrupted",
        "stage    KD (1 of 1), step 20 of 30",
        "resumes  from step 20 (stages/kd/checkpoint-20)",
    ]
    assert json.loads(cli("status", run, "--json")[1])["resumes"] == 20
    write(grid / "grid.yaml", GRID)
    assert json.loads(cli("status", grid, "--json")[1])["counts"] == {"not started": 7}
    write(grid / "untrained.json", {"known": [{"name": "1 layer"}, {"name": "2 layers"}]})
    write(grid / "served/1-layer/export.json", {})
    assert "served   1-layer (of 2 students)\nfastest  not known yet" in cli("status", grid)[1]
    write(grid / "frontier.json", {"fastest": "1 layer"})
    assert json.loads(cli("status", grid, "--json")[1])["frontier"]["fastest"] == "1 layer"
    (tmp_path / "empty").mkdir()
    assert cli("status", tmp_path / "empty")[1].startswith(f"{tmp_path}/empty: not started")


def test_what_is_none_of_these_is_told_so(tmp_path, cli):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").touch()
    write(tmp_path / "runs/kd/config.yaml", {})
    for words, said in (
        ((tmp_path / "thesis",), "thesis: the folder holds no crild run, grid or frontier"),
        ((tmp_path / "runs",), "it holds the runs kd: ask for one of them"),
        ((tmp_path / "nowhere",), "RUN: no such folder: "),
        ((), "RUN is missing"),
    ):
        code, _, err = cli("status", *words)
        assert code == 2
        assert said in complaint(err)


def test_it_needs_no_torch(tmp_path):
    look = f"import sys, crild.cli; crild.cli.main(['status', {str(tmp_path)!r}]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True).returncode == 0
