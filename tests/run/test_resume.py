"""A run that was killed and started again ends with the very same student."""

import hashlib
import json
import re
import signal

import pytest

from crild.run.status import status_of
from tests.conftest import reviews, write_jsonl
from tests.processes import Running
from tools import kills


def command(output, encoder, data, *more):
    """Three stages: the encoder becomes a teacher, then its intermediate layers are distilled, then its logits."""
    return [
        "distill", "--teacher", encoder, "--data", data, "--student", "2", "--method", "cr-ild", "--output", output,
        "--epochs", "3", "--finetune-batch-size", "16", "--ild-batch-size", "16", "--kd-batch-size", "16", "--ema",
        "--save-steps", "3", "--no-control", "--precision", "fp32", *more,
    ]  # fmt: skip


def run(arguments, place=None):
    return Running(arguments, place).finish()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_jsonl(folder / "train.jsonl", reviews(110))
    write_jsonl(folder / "validation.jsonl", reviews(30, seed=1))
    write_jsonl(folder / "more.jsonl", [{"text": row["text"]} for row in reviews(40, seed=2)])
    return folder


class Forked:
    """A process of `tests.processes`, as `tools.kills` kills it."""

    def __init__(self, arguments):
        self.running = Running(arguments)

    def over(self, seconds):
        self.running.process.join(min(seconds, 600))
        return self.running.process.exitcode is not None

    def kill(self):
        self.running.process.kill()
        self.running.process.join()


@pytest.fixture(scope="module")
def timed(tmp_path_factory, tiny, data):
    """99 training rows: 7 steps an epoch, 21 a stage; and its seconds."""
    output = tmp_path_factory.mktemp("whole") / "run"
    return output, kills.undisturbed(lambda: Forked(command(output, tiny, data)), output)


@pytest.fixture(scope="module")
def undisturbed(timed):
    assert status_of(timed[0]).state == "finished"
    return timed[0]


STAGES = ("teacher", "ild", "kd")
PLACES = {
    "step:teacher:2": None,  # before any checkpoint
    "step:teacher:14": ("teacher", 12),
    "checkpoint:ild:4": ("ILD", 9),
    "step:ild:11": ("ILD", 9),
    "end:ild:21": ("ILD", 21),
    "step:kd:10": ("KD", 9),
    "checkpoint:kd:2": ("KD", 12),
    "end:kd:21": ("KD", 21),
}


@pytest.mark.slow
def test_a_run_that_is_killed_everywhere_ends_with_the_same_weights(tmp_path, tiny, data, undisturbed):
    arguments, output = command(tmp_path / "run", tiny, data), tmp_path / "run"
    kept = None
    for place, reached in PLACES.items():
        killed = run(arguments, place)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not (output / "student").exists()
        resumed = re.findall(r"resuming from step (\d+) of 21", killed.stderr)
        assert resumed == ([str(kept[1])] if kept else []), place
        found, kept = status_of(output), reached
        assert found.state == "killed"
        assert (found.stage, found.resumes) == (reached or ("teacher", 0))
    again = run(arguments)
    assert again.returncode == 0, again.stderr
    assert "resuming from step 21 of 21" in again.stderr
    assert sha256(output / "student/model.safetensors") == sha256(undisturbed / "student/model.safetensors")
    assert not list(output.rglob("incomplete"))
    assert not list(output.rglob("*.part"))
    for stage in STAGES:
        for log in ("steps.jsonl", "history.jsonl"):
            ours, theirs = (path / "stages" / stage / log for path in (output, undisturbed))
            assert [json.loads(x)["step"] for x in ours.open()] == [json.loads(x)["step"] for x in theirs.open()]
    whole, cut = (json.loads((p / "result.json").read_text()) for p in (undisturbed, output))
    assert cut["student"]["score"] == whole["student"]["score"]
    assert history(output) == history(undisturbed)


@pytest.mark.slow
def test_a_run_that_is_killed_at_random_ends_with_the_same_weights(tmp_path, tiny, data, timed):
    whole, seconds = timed
    output = tmp_path / "run"
    found = kills.disturbed(lambda: Forked(command(output, tiny, data)), output, 3, 7, seconds)
    assert {each.state for each in found} <= {"killed", "not started"}
    assert kills.sha256(output) == kills.sha256(whole)


def history(output):
    lines = [json.loads(x) for stage in STAGES for x in (output / "stages" / stage / "history.jsonl").open()]
    return [{k: round(v, 6) for k, v in line["train"].items()} for line in lines]


@pytest.mark.slow
def test_a_killed_run_draws_the_same_rewrites(tmp_path, tiny_teacher, data):
    arguments = [
        "distill", "--teacher", tiny_teacher, "--data", data, "--student", "2", "--method", "kd", "--kd-epochs", "2",
        "--save-steps", "3", "--no-control", "--augment", "all", "--augment-ratio", "1", "--output",
    ]  # fmt: skip
    whole = run([*arguments, tmp_path / "whole"])
    assert whole.returncode == 0, whole.stderr
    assert run([*arguments, tmp_path / "run"], "step:kd:11").returncode == -signal.SIGKILL  # in the second epoch of 7
    again = run([*arguments, tmp_path / "run"])
    assert "resuming from step 9 of 14" in again.stderr
    students = [tmp_path / name / "student/model.safetensors" for name in ("whole", "run")]
    assert sha256(students[0]) == sha256(students[1])


@pytest.mark.slow
def test_a_run_that_is_killed_in_a_fold_goes_on_from_there(tmp_path, tiny, tiny_teacher, data):
    arguments = [
        "distill", "--teacher", tiny_teacher, "--base", tiny, "--data", data, "--student", "2", "--method", "kd",
        "--epochs", "1", "--finetune-epochs", "3", "--save-steps", "3", "--no-control", "--cross-fit", "2", "--output",
    ]  # fmt: skip
    whole = run([*arguments, tmp_path / "whole"])
    assert whole.returncode == 0, whole.stderr
    assert run([*arguments, tmp_path / "run"], "step:fold-2:8").returncode == -signal.SIGKILL
    again = run([*arguments, tmp_path / "run"])
    assert "teacher without fold 2: resuming from step 6 of 12" in again.stderr
    assert "teacher without fold 1" not in again.stderr.split("\nmethod ")[1].split("\n", 1)[1]  # its logits are there
    students = [tmp_path / name / "student/model.safetensors" for name in ("whole", "run")]
    assert sha256(students[0]) == sha256(students[1])


@pytest.mark.slow
def test_the_logged_weight_is_the_ramp_at_every_step(undisturbed):
    steps = [json.loads(line) for line in (undisturbed / "stages/ild/steps.jsonl").open()]
    assert [s["step"] for s in steps] == list(range(1, 22))
    for number, step in enumerate(steps):
        assert step["p"] == pytest.approx(number / 20)
        for term, entry in step["terms"].items():
            expected = 0.1 * step["p"] if term.startswith("consistency/") else 1.0
            assert entry["weight"] == pytest.approx(expected)
        assert step["loss"] == pytest.approx(sum(t["value"] * t["weight"] for t in step["terms"].values()))
        assert 0.5 <= step["lambda"] <= 1
    assert any(s["terms"]["consistency/hidden"]["value"] > 0 for s in steps)


@pytest.mark.slow
def test_without_the_consistency_term_the_student_is_another(tmp_path, tiny, data, undisturbed):
    options = [each for each in command(tmp_path / "run", tiny, data, "--consistency", "0") if each != "--ema"]
    done = run(options)
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "run/student/model.safetensors") != sha256(undisturbed / "student/model.safetensors")


@pytest.mark.slow
def test_a_finished_run_is_not_repeated_and_another_does_not_overwrite_it(tiny, data, undisturbed):
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*")}
    again = run([*command(undisturbed, tiny, data), "--json"])
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == json.loads((undisturbed / "result.json").read_text())
    other = run(command(undisturbed, tiny, data, "--seed", "7"))
    assert other.returncode == 2
    assert "another run (seed: 42 there, 7 here)" in other.stderr
    assert before == {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*")}
