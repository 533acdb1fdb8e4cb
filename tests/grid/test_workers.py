"""Grids that are killed, and workers that are lost: the same table in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from crild.grid import workers
from crild.grid.cells import Outcome
from crild.grid.spec import Cell
from crild.grid.workers import LocalProcesses, RayPool, visible_gpus
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
@pytest.mark.parametrize("after", [1, 6])  # a teacher is under way, a student is
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
    texts = [
        finish(process) for process in [start(grid, output) for _ in range(2)]
    ]  # each waits for what the other does
    assert any(f"{len(before)} finished before" in text for text in texts)
    assert any("waiting for it" in text for text in texts)
    assert not any("failed" in text for text in texts)
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


# GPUs, and what is a lost worker


def see_gpu(folder, number):
    """What a worker sees; it waits until the others are there, so that none takes two jobs."""
    (Path(folder) / str(number)).touch()
    wait_for(lambda: len(list(Path(folder).iterdir())) == 3)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("count", "allowed", "names"),
    [(0, None, []), (2, None, ["0", "1"]), (2, "5,GPU-7", ["5", "GPU-7"]), (0, "", [])],
)
def test_gpus_are_those_that_this_process_may_use(count, allowed, names, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if allowed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert visible_gpus() == names


@pytest.mark.slow
def test_local_workers_see_the_gpus_in_turn(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    pool = LocalProcesses(3, 1)
    try:
        views = [pool.pool.submit(see_gpu, str(tmp_path), number) for number in range(3)]
        assert sorted(view.result(300) for view in views) == ["0", "0", "1"]
    finally:
        pool.close()


def unmakeable():
    return 1 / 0


def a_cell():
    return Cell("films", "full", "kd", 1, "runs/films/full/kd/1", {})


def test_a_local_run_that_raises_is_a_failed_one_and_the_others_go_on(monkeypatch, tmp_path):
    pool = LocalProcesses(1, 1)
    outcomes = []
    try:
        pool.pool.shutdown()
        pool.pool = ThreadPoolExecutor(1)
        monkeypatch.setattr(workers, "run_job", lambda *_: unmakeable())
        pool.run(tmp_path, [(a_cell(), False)], lambda cell, outcome: outcomes.append(outcome))
    finally:
        pool.close()
    assert [outcome.error for outcome in outcomes] == ["ZeroDivisionError: division by zero"]


class StubRay:
    """As much of Ray as a pool asks for; `answers` are what its tasks come to, an exception or a value."""

    def __init__(self, cpus, gpus, answers=()):
        self.resources, self.answers, self.asked, self.started = {"CPU": cpus, "GPU": gpus}, list(answers), {}, 0
        self.exceptions = pytest.importorskip("ray").exceptions

    def init(self, **options):
        pass

    def cluster_resources(self):
        return self.resources

    def remote(self, **asked):
        self.asked = asked
        return lambda function: self

    def wait(self, waiting, num_returns):
        return waiting[:1], waiting[1:]

    def get(self, task):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class StubTask:
    """A remote function whose calls are numbered."""

    def __init__(self, ray):
        self.ray = ray

    def remote(self, *arguments):
        self.ray.started += 1
        return self.ray.started


def ray_pool(monkeypatch, cpus, gpus, answers=()):
    stub = StubRay(cpus, gpus, answers)
    monkeypatch.setitem(sys.modules, "ray", stub)
    pool = RayPool(1, None)
    pool.task = StubTask(stub)
    return pool, stub


@pytest.mark.parametrize(
    ("cpus", "gpus", "share"), [(4, 0, 0), (4, 4, 1), (2, 4, 1), (16, 1, 0.0625), (16, 3, 0.1666), (20, 1, 0.05)]
)
def test_ray_workers_ask_for_a_gpu_or_a_share_of_one(cpus, gpus, share, monkeypatch):
    pool, stub = ray_pool(monkeypatch, cpus, gpus)
    assert stub.asked["num_gpus"] == share
    assert pool.size == cpus
    if 0 < share < 1:
        assert int(1 / share) * gpus >= pool.size  # all of them find room


def ray_errors():
    """Ray's exceptions as it raises them: of a lost worker, and of a task."""
    errors = pytest.importorskip("ray").exceptions
    task = errors.RayTaskError("run_on_ray", "traceback", OSError("no space left")).as_instanceof_cause()
    return [errors.WorkerCrashedError(), errors.OutOfMemoryError("killed")], task


def test_a_task_error_on_ray_is_a_failed_run_and_only_a_lost_worker_is_tried_again(monkeypatch, tmp_path):
    lost, task = ray_errors()
    for answers, error, started in (
        ([*lost, Outcome(result={"ok": 1})], None, 3),
        ([task], "OSError: no space left", 1),
        ([lost[0]] * 3, "its worker was lost 3 times (out of memory?)", 3),
    ):
        pool, stub = ray_pool(monkeypatch, 2, 0, answers)
        outcomes = []
        pool.run(tmp_path, [(a_cell(), False)], lambda cell, outcome: outcomes.append(outcome))  # noqa: B023
        assert [outcome.error for outcome in outcomes] == [error]
        assert stub.started == started
