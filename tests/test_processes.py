"""Several processes: really two of them over gloo, as a launcher starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

import crild
from crild import processes
from crild.errors import CrildError
from crild.models.cut import cut
from crild.objectives import OBJECTIVES
from tests.conftest import reviews, write_jsonl
from tests.runs import history
from tests.tiny import save_tiny, tiny_tokenizer
from tests.together import command, together

ROOT = Path(__file__).resolve().parents[1]
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # dropout is drawn for each micro-batch
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}


@pytest.fixture(scope="module")
def encoder_without_dropout(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("still"), **STILL)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """54 rows, of which 49 are trained on: of the last step of 16 rows a single one is left, and a process has none."""
    folder = tmp_path_factory.mktemp("data")
    write_jsonl(folder / "train.jsonl", reviews(54))
    write_jsonl(folder / "validation.jsonl", reviews(40, seed=1))
    return folder


@pytest.fixture(scope="module")
def distillation(encoder_without_dropout, data):
    """Words of a command line: all four stages, everything but dropout on."""
    options = {"base": encoder_without_dropout, "data": data, "student": 2, "method": "cr-ild", "epochs": 1,
               "precision": "fp32",
               "finetune-batch-size": 16, "ild-batch-size": 16, "kd-batch-size": 16, "kd-inputs": "interpolated",
               "save-steps": 3, "finetune-learning-rate": 1e-3}  # fmt: skip
    return ["distill", "--keep-stages", "--ema", *(word for k, v in options.items() for word in (f"--{k}", v))]


@pytest.fixture(scope="module")
def one(distillation, tmp_path_factory):
    """The run of one process."""
    from crild.cli import main

    folder = tmp_path_factory.mktemp("one") / "run"
    assert main([str(word) for word in [*distillation, "--output", folder]]) == 0
    return folder


def flat(values, before=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        elif isinstance(value, int | float):
            yield before + name, value


def lines(folder, stage, name):
    return [dict(flat(json.loads(line))) for line in (folder / "stages" / stage / f"{name}.jsonl").open()]


def same_run(found, expected, stages=("teacher", "ild", "kd", "control")):
    """Every term of every step and evaluation, every weight and every answer, but for rounding."""
    for stage in stages:
        for name in ("steps", "history"):
            ours, theirs = lines(found, stage, name), lines(expected, stage, name)
            assert len(ours) == len(theirs) >= 2
            for one, other in zip(ours, theirs, strict=True):
                assert one == pytest.approx(other, rel=2e-3, abs=2e-6), (stage, name)
                counts = [{k: n for k, n in entry.items() if k.endswith("count")} for entry in (one, other)]
                assert counts[0] == counts[1]
    for role in ("teacher", "student", "control"):
        if (expected / role).exists():
            ours, theirs = (load_file(run / role / "model.safetensors") for run in (found, expected))
            for name, x in ours.items():
                if not name.endswith("key.bias"):  # softmax cancels it: its gradient is noise, which Adam blows up
                    torch.testing.assert_close(x, theirs[name], atol=3e-5, rtol=1e-3, msg=f"{role} {name}")
    frames = [pd.read_parquet(run / "predictions.parquet") for run in (found, expected)]
    assert list(frames[0].columns) == list(frames[1].columns)
    for name in frames[0].columns:
        if name.endswith("_probabilities"):
            np.testing.assert_allclose(np.stack(frames[0][name]), np.stack(frames[1][name]), atol=1e-4)


def only_the_first_wrote(ended):
    assert ended.codes == [0, 0], ended.stderr
    assert "saved in" in ended.stdout[0]
    assert "held out" in ended.stderr[0]
    assert ended.stdout[1] == ""
    assert ended.stderr[1] == ""


@pytest.mark.parametrize("arrangement", ["2 processes", "4 micro-batches", "2 processes, sharded"])
def test_a_run_is_the_same_however_its_steps_are_divided(arrangement, distillation, one, tmp_path, cli):
    words = [*distillation, "--output", tmp_path / "run"]
    if arrangement == "4 micro-batches":
        code, _, err = cli(*words, "--accumulation", 4)
        assert code == 0, err
    else:
        only_the_first_wrote(together(command, *map(str, words), **(FSDP if "sharded" in arrangement else {})))
    assert lines(one, "ild", "steps")[3]["terms.hidden.count"] < 16  # one text in the last step of an epoch
    same_run(tmp_path / "run", one)


PLUGIN = """
import os
from pathlib import Path
import crild
here = Path(__file__).parent
@crild.objective("mine")
def mine(student, teacher, mask):
    if os.environ.get("RANK") == "1" and (here / "run/stages/ild/checkpoint-4").exists():
        raise crild.CrildError("the disk of this machine is full")
    return (student.hidden - teacher.hidden).square().mean(-1)
"""


def test_an_error_in_one_process_ends_both_in_one_line_and_one_process_can_go_on(
    tiny_teacher, data, tmp_path, cli, request
):
    request.addfinalizer(lambda: OBJECTIVES.pop("mine", None))
    (tmp_path / "mine.py").write_text(PLUGIN)
    teacher = AutoModelForSequenceClassification.from_pretrained(tiny_teacher, **STILL)
    teacher.save_pretrained(tmp_path / "teacher")
    tiny_tokenizer().save_pretrained(tmp_path / "teacher")
    words = ["distill", "--teacher", tmp_path / "teacher", "--data", data, "--student", 2, "--no-control",
             "--method", "cr-ild", "--epochs", 2, "--precision", "fp32", "--ild-batch-size", 16,
             "--kd-batch-size", 16, "--save-steps", 2, "--keep-stages",
             "--plugin", tmp_path / "mine.py", "--features", "mine"]  # fmt: skip
    ended = together(command, *map(str, words), "--output", str(tmp_path / "run"))
    assert ended.codes[1] == 2
    assert ended.codes[0] in (2, None)
    said = [line for text in ended.stderr for line in text.splitlines() if line.startswith("crild: ")]
    assert said == ["crild: error: the disk of this machine is full"]
    assert not any("Traceback" in text for text in ended.stderr)
    assert (tmp_path / "run/stages/ild/checkpoint-4").exists()
    code, _, err = cli(*words, "--output", tmp_path / "run")
    assert code == 0, err
    assert "ILD: resuming from step 4 of 8" in err
    assert cli(*words, "--output", tmp_path / "whole")[0] == 0
    same_run(tmp_path / "run", tmp_path / "whole", ["ild", "kd"])


def test_a_mistake_is_told_once_and_nothing_is_written(data, tmp_path):
    ended = together(command, "distill", "--base", str(tmp_path / "none"), "--data", str(data), "--output", "unused")
    assert set(ended.codes) <= {2, None}
    assert 2 in ended.codes
    said = [line for text in ended.stderr for line in text.splitlines()]
    assert len(said) == 1
    assert said[0].startswith("crild: error: --base: no such folder")
    ended = together(command, "evaluate", str(tmp_path), "--data", str(data))
    assert "crild evaluate works in one process" in "".join(ended.stderr)


# ---- the parts ----


def rows(count, seed=0):
    found = [{"text": row["text"], "label": int(row["label"] == "pos")} for row in reviews(count, seed)]
    return Dataset.from_list(found)


def train(folder, teacher, method, size, **options):
    """Train a stage; return its log, its state and its answers."""
    teacher = AutoModelForSequenceClassification.from_pretrained(teacher)
    quick = {"stage": "ild", "num_train_epochs": 2, "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no",
             "report_to": "none", "disable_tqdm": True, "use_cpu": True, "eval_strategy": "epoch",
             "per_device_train_batch_size": size, **options}  # fmt: skip
    trainer = crild.DistillationTrainer(
        cut(teacher, [0, 1]), teacher, method, crild.DistillationArguments(str(folder), **quick), rows(17), rows(30, 1),
        tiny_tokenizer(),
    )  # fmt: skip
    trainer.train()
    timed = ("runtime", "per_second", "flos")
    log = [{k: v for k, v in entry.items() if not any(t in k for t in timed)} for entry in trainer.state.log_history]
    answers = trainer.predict(rows(20, 2)).predictions
    return log, {k: x.numpy() for k, x in trainer.distiller.state_dict().items()}, answers


METHODS = {
    "bert-emd": {},
    "rail-kd": {},
    "ted": {"stage": "filters"},
    "pkd": {"stage": "joint", "schedule": "paper"},
}


def parts(folder, teacher):
    """In each process: what the processes tell each other, then some methods' stages."""
    processes.start()
    me = processes.index()
    assert processes.count() == processes.launched() == 2
    assert processes.is_main() == (me == 0)
    assert processes.gathered(me) == [0, 1]
    assert processes.total(torch.tensor([me, 1.0])).tolist() == [1.0, 2.0]
    assert list(processes.share(range(5))) == [[0, 2, 4], [1, 3]][me]
    done = []
    assert processes.on_main(lambda: done.append(me) or "found") == "found"
    assert done == ([0] if me == 0 else [])
    processes.agree("thing", {"same": 1})
    for work, message in (
        (lambda: processes.agree("thing", me), "process 1 has another thing than process 0"),
        (lambda: processes.on_main(lambda: (_ for _ in ()).throw(CrildError("full"))), "full"),
    ):
        with pytest.raises(CrildError, match=message):
            work()
    found = {method: train(folder, teacher, method, 4, **options) for method, options in METHODS.items()}
    states = processes.gathered({method: state for method, (_, state, _) in found.items()})
    for method, state in states[0].items():
        assert all(np.array_equal(x, states[1][method][name]) for name, x in state.items()), method
    return found


def test_processes_share_what_a_step_relates(tmp_path):
    teacher = str(save_tiny(tmp_path / "teacher", head=True, **STILL))
    ended = together(parts, str(tmp_path), teacher)
    assert ended.codes == [0, 0], ended.stderr
    for method, options in METHODS.items():
        log, state, answers = ended.returned[0][method]
        expected_log, expected, expected_answers = train(tmp_path, teacher, method, 8, **options)
        for entry, other in zip(log, expected_log, strict=True):
            assert entry == pytest.approx(other, rel=1e-3, abs=1e-6), method
        for name, x in state.items():
            if not name.endswith("key.bias"):
                np.testing.assert_allclose(x, expected[name], atol=2e-5, rtol=1e-3, err_msg=f"{method} {name}")
        np.testing.assert_allclose(answers, expected_answers, atol=1e-5)


def test_one_process_needs_no_other(tmp_path):
    assert processes.launched() == processes.count() == 1
    assert processes.is_main()
    assert processes.gathered("x") == ["x"]
    assert processes.on_main(lambda: 3) == 3
    assert list(processes.share([1, 2])) == [1, 2]
    tensor = torch.ones(2)
    assert processes.total(tensor) is tensor
    processes.refuse_several("crild tune")
    processes.agree("thing", 1)


def test_what_works_in_one_process_is_refused_in_several(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for start in (lambda: crild.compare({}, output="x"), crild.tune, crild.frontier):
        with pytest.raises(CrildError, match="works in one process: start it without torchrun"):
            start()


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ["torch.distributed.run", "--nproc_per_node", "2"],
        ["accelerate.commands.launch", "--num_processes", "2", "--use_fsdp", "--fsdp_version", "2"],
    ],
)
def test_launchers_work_as_they_are(launcher, tiny_teacher, data, tmp_path):
    words = ["--teacher", tiny_teacher, "--data", data, "--student", 2, "--no-control", "--max-steps", 2,
             "--output", tmp_path / "run"]  # fmt: skip
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "crild", "distill", *map(str, words)],
        capture_output=True, text=True, env=env, cwd=tmp_path, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("saved in") == 1
    assert done.stderr.count("KD: step 2/2") == 1
    assert history(tmp_path / "run", "kd")[-1]["step"] == 2
    assert (tmp_path / "run/student/model.safetensors").exists()
