"""How far a run is, from its files: every state, and that nothing is written or locked."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime

import pytest

from crild.checkpoints import seal
from crild.run.folder import RunFolder
from crild.run.status import status_of

NOW = datetime.now(UTC).isoformat(timespec="seconds")
STAGES = [("teacher", "teacher", 10), ("ild", "ILD", 20), ("kd", "KD", 30)]


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def gone():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def run(tmp_path):
    """A run in its second stage of three: 12 steps are in the log, 10 in a checkpoint; a minute was spent."""
    write(tmp_path / "config.yaml", {})
    write(tmp_path / "run.json", {})
    plan = [{"name": name, "title": title, "steps": steps} for name, title, steps in STAGES]
    write(tmp_path / "plan.json", {"stages": plan})
    write(tmp_path / "seconds.json", {"seconds": 60.0})
    write(tmp_path / "stages/teacher/done.json", {})
    (tmp_path / "stages/teacher/history.jsonl").write_text('{"step": 5, "score": 0.5}\n{"step": 10, "score": 0.75}\n')
    for step in (5, 10):
        write(tmp_path / f"stages/ild/checkpoint-{step}/trainer_state.json", {})
        seal(tmp_path / f"stages/ild/checkpoint-{step}")
    steps = [json.dumps({"step": step}) for step in range(1, 13)]
    (tmp_path / "stages/ild/steps.jsonl").write_text("\n".join([*steps, '{"step": 1']))
    return tmp_path


def hold(run, **holder):
    write(run / "holder.lock", {"started": NOW, "host": platform.node(), **holder})


def test_a_killed_run_says_where_it_was_and_what_it_goes_on_from(run, gone):
    hold(run, process=gone)
    before = snapshot(run)
    found = status_of(run)
    assert (found.state, found.process) == ("killed", gone)
    assert (found.stage, found.number, found.stages, found.step, found.steps) == ("ILD", 2, 3, 12, 20)
    assert (found.resumes, found.checkpoint) == (10, "stages/ild/checkpoint-10")
    assert found.share == pytest.approx(20 / 60)  # a step is a step where nobody estimated
    assert (found.minutes, found.minutes_left) == (1.0, pytest.approx(2.0))
    assert found.score == 0.75
    assert found.bytes == sum(len(content) for content in before.values())
    assert str(found).splitlines() == [
        f"{run}: killed, process {gone} since {NOW}",
        "stage    ILD (2 of 3), step 12 of 20",
        "resumes  from step 10 (stages/ild/checkpoint-10)",
        "time     1.0 minutes spent, about 2 to 3 minutes left",
        "score    0.7500 (on the selection rows, the last one)",
        "disk     0.0 MB",
    ]
    assert snapshot(run) == before


def test_a_checkpoint_that_is_not_whole_is_not_the_one(run, gone):
    hold(run, process=gone)
    (run / "stages/ild/checkpoint-10/trainer_state.json").unlink()
    assert status_of(run).checkpoint == "stages/ild/checkpoint-5"
    (run / "stages/ild/checkpoint-5/sums.json").unlink()
    found = status_of(run)
    assert (found.resumes, found.checkpoint) == (0, None)
    assert "resumes  from the stage's beginning" in str(found)


def test_time_left_follows_the_estimated_minutes(run, gone):
    hold(run, process=gone)
    write(run / "run.json", {"minutes": {"teacher": 1.0, "ild": 4.0, "kd": 2.0, "scoring": 1.0}})
    found = status_of(run)
    assert found.share == pytest.approx((1 + 4 * 10 / 20) / 8)
    assert found.minutes_left == pytest.approx(1 / (3 / 8) - 1)


def test_between_two_stages_nothing_is_left_to_resume_in_one(run):
    write(run / "stages/ild/done.json", {})
    found = status_of(run)
    assert (found.state, found.step, found.resumes) == ("interrupted", 20, 20)  # it ended with a message
    assert "resumes  from the end of the stage" in str(found)


def test_a_run_that_goes_on_is_seen_without_its_lock(run):
    with RunFolder(run).locked():
        before = snapshot(run)
        found = status_of(run)
        assert (found.state, found.process) == ("running", os.getpid())
        assert found.share == pytest.approx(22 / 60)  # of what the log has
        assert "resumes" not in str(found)
        assert snapshot(run) == before
    assert status_of(run).state == "interrupted"


def test_another_process_with_the_number_of_a_killed_one_is_not_it(run):
    hold(run, process=os.getpid(), started="2001-01-01T00:00:00+00:00")
    assert status_of(run).state == "killed"
    hold(run, process=os.getpid(), host="elsewhere")
    found = status_of(run)
    assert (found.state, found.host) == ("running", "elsewhere")
    assert "on elsewhere, which cannot be seen from here" in str(found)


def test_a_finished_run_and_one_that_was_never_started(run, tmp_path):
    result = {"teacher": {"score": 0.9}, "student": {"score": 0.875}, "minutes": 3.0, "metric": "accuracy"}
    write(run / "result.json", result)
    found = status_of(run)
    assert (found.state, found.share, found.minutes, found.score) == ("finished", 1.0, 3.0, 0.875)
    assert "score    0.8750 (accuracy)" in str(found)
    assert status_of(tmp_path / "nothing").state == "not started"
    assert str(status_of(tmp_path / "nothing")).splitlines()[0].endswith("nothing: not started")
