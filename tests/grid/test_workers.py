"""Grids that are killed, and workers that are lost: the same table in the end."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.processes import Running


@pytest.fixture(scope="module")
def grid(tmp_path_factory, tiny, film_data):
    """2 teachers and 6 students; each run takes about a second."""
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    values = {
        "claim": "killed grids go on.",
        "tasks": {"films": str(film_data)},
        "methods": ["kd", "cr-ild"],
        "conditions": {"full": {}, "noisy": {"label_noise": 0.4}},
        "seeds": [1],
        "threads": 1,
        "options": {"base": str(tiny), "student": 2, "max_steps": 10, "save_steps": 3, "precision": "fp32"},
    }
    path.write_text(json.dumps(values))
    return path


def start(grid, output, *more) -> Running:
    return Running(["compare", grid, "--output", output, *more])


def finish(running) -> str:
    ended = running.finish(900)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def wait_for(condition, seconds=300.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def tables(output):
    return {path.name: path.read_bytes() for path in Path(output).glob("table.*")}


def folders(output):
    """Every run directory that there is; by depth, for files come and go while a run is under way."""
    return sorted([*Path(output).glob("teachers/*"), *Path(output).glob("runs/*/*/*/*")])


def finished(output):
    return [path / "result.json" for path in folders(output) if (path / "result.json").exists()]


def under_way(output):
    return [p for p in folders(output) if (p / "config.yaml").exists() and not (p / "result.json").exists()]


def times(output):
    return {str(p.parent): json.loads((p.parent / "run.json").read_text())["started"] for p in finished(output)}


@pytest.fixture(scope="module")
def undisturbed(grid, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "out"
    finish(start(grid, output))
    return output


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 4, 6])
def test_a_killed_grid_ends_with_the_same_table(after, grid, undisturbed, tmp_path):
    output = tmp_path / "out"
    process = start(grid, output)
    wait_for(lambda: len(finished(output)) >= after and (output / "grid.yaml").exists())
    # in the middle of a run: its directory is there and its result is not
    wait_for(lambda: under_way(output))
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.finish().returncode == -signal.SIGKILL
    before = times(output)
    assert len(before) < 8
    text = finish(start(grid, output))
    assert f"{len(before)} finished before" in text
    assert tables(output) == tables(undisturbed)
    assert before.items() <= times(output).items()


@pytest.mark.slow
def test_two_processes_give_the_same_table_and_a_lost_one_is_replaced(grid, undisturbed, tmp_path):
    output = tmp_path / "out"
    process = start(grid, output, "--workers", "2")
    wait_for(lambda: len(finished(output)) >= 3)
    victim = wait_for(lambda: busy_child(process.pid, output))
    os.kill(victim, signal.SIGKILL)
    text = finish(process)
    assert "its worker was lost; running it again" in text
    assert tables(output) == tables(undisturbed)


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(each) for each in found]


def busy_child(pid, output):
    """A worker process, while a run is under way."""
    workers = [
        child
        for child in children(pid)
        if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
    ]
    return workers[0] if under_way(output) and workers else None


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(grid, tmp_path):
    process = start(grid, tmp_path / "out", "--workers", "2")
    workers = wait_for(lambda: [c for c in children(process.pid) if len(children(process.pid)) >= 2])
    wait_for(lambda: list((tmp_path / "out").glob("teachers/*/config.yaml")))
    os.kill(process.pid, signal.SIGKILL)
    assert process.finish().returncode == -signal.SIGKILL
    wait_for(lambda: not any(Path(f"/proc/{w}").exists() for w in workers), 10)


@pytest.mark.slow
def test_a_lost_ray_worker_is_taken_up_again(grid, undisturbed, tmp_path):
    pytest.importorskip("ray")
    output = tmp_path / "out"
    process = start(grid, output, "--workers", "ray")
    wait_for(lambda: len(finished(output)) >= 3)

    def worker():
        found = subprocess.run(["pgrep", "-f", "ray::run_on_ray"], capture_output=True, text=True).stdout.split()
        return int(found[0]) if under_way(output) and found else None

    os.kill(wait_for(worker), signal.SIGKILL)
    text = finish(process)
    assert "its worker was lost; running it again" in text
    assert tables(output) == tables(undisturbed)
