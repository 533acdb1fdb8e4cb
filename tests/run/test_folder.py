"""The run directory: opened without data and without scoring, in use by one process, nothing kept that nobody needs."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import crild
from crild.errors import CrildError
from crild.inference import predict
from crild.run import execute as execution
from crild.run.folder import Clock, RunFolder
from tests.conftest import complaint, reviews, write_jsonl


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny, film_data):
    """A whole run, its data deleted afterwards."""
    folder = tmp_path_factory.mktemp("finished")
    data = folder / "data"
    rows = reviews(160)
    write_jsonl(data / "train.jsonl", rows)
    write_jsonl(data / "validation.jsonl", reviews(40, seed=1))
    result = crild.distill(
        teacher=str(tiny), data=str(data), student=2, method="minilmv2", student_width=16, features="h",
        output=str(folder / "run"), max_steps=3,
    )  # fmt: skip
    for path in data.iterdir():
        path.unlink()
    data.rmdir()
    return folder / "run", result


def test_a_finished_run_opens_without_its_data_and_scores_nothing(finished, monkeypatch):
    path, result = finished
    monkeypatch.setattr(execution, "predict", None)  # to call it would fail
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = crild.RunFolder.open(path)
    assert run.result.to_dict() == result.to_dict() == json.loads((path / "result.json").read_text())
    assert [stage.name for stage in run.plan.stages] == ["teacher", "ild", "kd", "control"]
    assert (run.teacher.config.num_hidden_layers, run.student.config.num_hidden_layers) == (4, 2)
    assert run.control.config.hidden_size == 16
    assert run.tokenizer("a good film")["input_ids"]
    assert [entry["step"] for entry in run.history("kd")][-1] == 3
    assert len(run.steps("ild")) == 3


def test_the_scored_rows_are_those_behind_the_scores(finished):
    path, result = finished
    rows = RunFolder.open(path).predictions
    assert list(rows.columns) == [
        "text", "label", "split", "teacher", "teacher_probabilities", "student", "student_probabilities", "control",
        "control_probabilities",
    ]  # fmt: skip
    assert rows["text"].tolist() == [row["text"] for row in reviews(40, seed=1)]
    assert rows["label"].tolist() == [row["label"] for row in reviews(40, seed=1)]
    for model in ("teacher", "control", "student"):
        assert (rows[model] == rows["label"]).mean() == result[model]["score"]
        probabilities = np.stack(rows[f"{model}_probabilities"])
        assert np.allclose(probabilities.sum(1), 1)
        assert [result["labels"][i] for i in probabilities.argmax(1)] == rows[model].tolist()
    chosen = RunFolder.open(path).selection_predictions
    assert (chosen["student"] == chosen["label"]).mean() == result["selection"]["score"]


def test_the_models_that_open_are_those_that_were_scored(finished):
    path, _ = finished
    run = RunFolder.open(path)
    from datasets import Dataset

    from crild.data.tokenise import tokenise

    texts = Dataset.from_dict({"text": run.predictions["text"], "labels": [None] * len(run.predictions)})
    tokenised = tokenise(texts, run.tokenizer, run.result.max_length)
    for model in ("teacher", "control", "student"):
        logits = torch.from_numpy(predict(getattr(run, model), tokenised, run.tokenizer))
        assert np.allclose(logits.softmax(-1), np.stack(run.predictions[f"{model}_probabilities"]), atol=1e-6)


def test_the_objective_comes_back_with_what_it_learned(finished):
    path, _ = finished
    objective = RunFolder.open(path).objective
    torch.manual_seed(42)
    fresh = torch.nn.Linear(16, 32)
    learned = objective.state_dict()
    name = next(name for name in learned if name.endswith("weight"))
    assert learned[name].shape == fresh.weight.shape
    assert not torch.equal(learned[name], fresh.weight)
    assert (path / "objective.safetensors").exists()


def test_stage_weights_go_at_the_end_unless_they_are_wanted(finished, tiny_teacher, film_data, tmp_path):
    path, _ = finished
    assert not list(path.glob("stages/*/*.safetensors"))
    assert not list(path.glob("stages/*/checkpoint-*"))
    crild.distill(
        teacher=str(tiny_teacher), data=str(film_data), student=2, method="kd", output=str(tmp_path / "kept"),
        max_steps=1, control=False, keep_stages=True,
    )  # fmt: skip
    assert [p.parent.name for p in (tmp_path / "kept").glob("stages/*/model.safetensors")] == ["kd"]
    assert RunFolder.open(tmp_path / "kept").control is None
    assert RunFolder.open(tmp_path / "kept").objective is None


def test_a_finished_run_asked_for_again_reads_neither_data_nor_models(tiny_teacher, film_data, tmp_path, monkeypatch):
    options = {
        "teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "method": "kd", "max_steps": 1,
        "control": False, "output": str(tmp_path / "run"),
    }  # fmt: skip
    first = crild.distill(**options)
    monkeypatch.setattr("crild.run.start.read_origin", None)
    monkeypatch.setattr("crild.run.start.read_inputs", None)
    assert crild.distill(**options).to_dict() == first.to_dict()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.mkdir(), "holds no crild run"),
        (
            lambda path: (path / "kd").mkdir(parents=True) or (path / "kd/config.yaml").touch(),
            "holds the runs kd: open",
        ),
        (lambda path: path.mkdir() or (path / "config.yaml").touch(), "is not finished"),
    ],
)
def test_what_is_no_finished_run_is_told_so(make, message, tmp_path):
    make(tmp_path / "x")
    with pytest.raises(CrildError, match=message):
        crild.RunFolder.open(tmp_path / "x")


def test_one_process_a_directory(tiny_teacher, film_data, tmp_path, cli):
    output = tmp_path / "run"
    holding = "import sys, time; from crild.run.folder import RunFolder\nwith RunFolder(sys.argv[1]).locked():\n"
    holding += "    print('in', flush=True)\n    time.sleep(60)\n"
    other = subprocess.Popen(
        [sys.executable, "-c", holding, str(output)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert other.stdout.readline() == "in\n"
        options = ("--teacher", tiny_teacher, "--data", film_data, "--student", "2", "--max-steps", "1")
        code, _, err = cli("distill", "--output", output, *options)
        assert code == 2
        assert f"in use by process {other.pid}, started 20" in complaint(err)
    finally:
        other.kill()
        other.wait()
    code, _, err = cli("distill", "--output", output, *options)  # the lock went with its process
    assert code == 0, err


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_read(cli, tiny_teacher, film_data):
    began = time.monotonic()
    code, _, err = cli("distill", "--teacher", tiny_teacher, "--data", film_data, "--output", "/proc/x")
    assert code == 2
    assert "--output /proc/x: /proc is no folder that can be written to" in complaint(err)
    assert "training rows" not in err
    assert time.monotonic() - began < 30


def test_the_clock_counts_all_starts(tmp_path):
    first = Clock(tmp_path / "seconds.json")
    first.began -= 60
    first.note()
    second = Clock(tmp_path / "seconds.json")
    second.began -= 30
    assert 90 <= second.seconds < 91


def test_a_killed_runs_minutes_are_counted(tiny_teacher, film_data, tmp_path):
    output = tmp_path / "run"
    options = {
        "teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "method": "kd", "max_steps": 1,
        "control": False, "output": str(output),
    }  # fmt: skip
    crild.distill(**options)
    for name in ("result.json", "stages/kd/done.json"):  # as if it had been killed in its last stage
        (output / name).unlink()
    (output / "seconds.json").write_text(json.dumps({"seconds": 600.0}))
    assert crild.distill(**options)["minutes"] >= 10.0


def test_a_run_of_an_earlier_version_goes_by_its_options(tmp_path, film_data):
    from crild.config import DistillConfig
    from crild.run.identity import Identity

    config = DistillConfig(teacher="t", data=str(film_data), output=str(tmp_path / "run"))
    identity = Identity.of(config)
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    (run.path / "config.yaml").write_text(yaml.safe_dump({"teacher": "t", "data": str(film_data)}))
    run.refuse_another(identity)
    (run.path / "config.yaml").write_text(yaml.safe_dump({"teacher": "t", "data": str(film_data), "seed": 7}))
    with pytest.raises(CrildError, match="seed: 7 there, 42 here"):
        run.refuse_another(identity)


def test_regression_rows_hold_numbers(tiny, tmp_path):
    rows = [{"text": row["text"], "score": len(row["text"]) / 7} for row in reviews(80)]
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    result = crild.distill(
        teacher=str(tiny), data=str(path), student=2, method="kd", output=str(tmp_path / "run"), max_steps=2
    )
    predictions = pd.read_parquet(tmp_path / "run/predictions.parquet")
    assert list(predictions.columns) == ["text", "label", "split", "teacher", "student", "control"]
    assert np.corrcoef(predictions["label"], predictions["student"])[0, 1] == pytest.approx(
        result["student"]["scores"]["pearson"], abs=1e-6
    )
