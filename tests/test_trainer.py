"""The trainer: order of rows, exact means under accumulation, what is frozen, what falls."""

import json
from copy import deepcopy

import numpy as np
import pytest
import torch
from datasets import Dataset

from crild.config import StageSettings
from crild.data.batching import Collator, LengthGroupedSampler
from crild.distiller import Distiller, Recipe
from crild.methods import build_objective
from crild.models.students import cut
from crild.trainer import DistillationTrainer, stream, trim_log
from tests.architectures import ARCHITECTURES, VOCAB, padded_batch, small_model
from tests.conftest import tiny_tokenizer


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    ids = [rng.integers(4, VOCAB // 3, rng.integers(3, 12)).tolist() for _ in range(count)]
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "attention_mask": [[1] * len(x) for x in ids],
            "length": [len(x) for x in ids],
            "labels": [float(i % 3) if i % 4 else None for i in range(count)],
        }
    )


def train(folder, features="ah", precision="fp32", learning_rate=1e-3, seed=1, student=None, logits=False, **settings):
    teacher = small_model("bert", seed=1, pad_token_id=0)
    student = student or cut(small_model("bert", seed=2, pad_token_id=0), [0, 1])
    objective = build_objective(features, student.config, teacher.config, None)
    recipe = Recipe(features=1.0, pairs=((2, 4),), interpolate=True, consistency=0.1)
    if logits:
        recipe = Recipe(distillation=0.5, task=0.5)
    defaults = {"epochs": 2, "batch_size": 8, "learning_rate": learning_rate}
    folder.mkdir(exist_ok=True, parents=True)
    trainer = DistillationTrainer(
        Distiller(student, recipe, teacher, objective), rows(48), rows(16, 1), tiny_tokenizer(),
        StageSettings(**defaults | settings), folder, "ild", seed, precision=precision,
    )  # fmt: skip
    trainer.run()
    return student


@pytest.mark.parametrize("logits", [False, True])
def test_accumulation_changes_nothing(tmp_path, logits):
    whole = train(tmp_path / "a", logits=logits, batch_size=8)
    parts = train(tmp_path / "b", logits=logits, batch_size=8, accumulation=4)
    for (name, one), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        if not name.endswith("key.bias"):  # softmax cancels it: its gradient is rounding noise, which Adam blows up
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-3, msg=name)
    ours, theirs = ([json.loads(x) for x in (tmp_path / n / "steps.jsonl").open()] for n in "ab")
    assert [s["terms"].keys() for s in ours] == [s["terms"].keys() for s in theirs]
    assert [s["loss"] for s in ours] == pytest.approx([s["loss"] for s in theirs], rel=1e-4)


def test_held_out_loss_falls_and_not_without_learning(tmp_path):
    def first_and_last(name, rate):
        train(tmp_path / name, learning_rate=rate, epochs=5)
        values = [json.loads(x)["held_out"] for x in (tmp_path / name / "history.jsonl").open()]
        return [v["attention"] + v["hidden"] for v in (values[0], values[-1])]

    first, last = first_and_last("learns", 3e-3)
    assert last < 0.9 * first
    first, last = first_and_last("still", 1e-12)
    assert last == pytest.approx(first, rel=1e-6)


def test_seed_decides_everything(tmp_path):
    one, same, other = (train(tmp_path / n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    key = "classifier.weight", "bert.encoder.layer.1.attention.self.query.weight"
    assert torch.equal(one.state_dict()[key[1]], same.state_dict()[key[1]])
    assert not torch.equal(one.state_dict()[key[1]], other.state_dict()[key[1]])


@pytest.mark.parametrize(
    ("features", "frozen", "trained"),
    [
        ("ah", ["classifier", "pooler"], ["layer.1.output", "layer.1.attention.self.value"]),
        ("qkv", ["classifier", "pooler", "layer.1.output", "layer.1.attention.output", "layer.1.intermediate"],
         ["layer.1.attention.self.value", "layer.0.output", "word_embeddings"]),
        ("a", ["layer.1.attention.self.value"], ["layer.1.attention.self.query"]),
    ],
)  # fmt: skip
def test_what_a_stage_cannot_reach_is_frozen(features, frozen, trained, tmp_path):
    student = cut(small_model("bert", seed=2, pad_token_id=0), [0, 1])
    before = {k: v.clone() for k, v in student.state_dict().items()}
    train(tmp_path / "x", features, student=student)
    for name, value in student.state_dict().items():
        if any(part in name for part in frozen):
            assert torch.equal(value, before[name]), name
        elif any(part in name for part in trained) and "key.bias" not in name:
            assert not torch.equal(value, before[name]), name


def test_precisions_can_follow_each_other_in_one_process(tmp_path):
    full, half = train(tmp_path / "a"), train(tmp_path / "b", precision="bf16")
    assert full.dtype == half.dtype == torch.float32
    name = "bert.encoder.layer.0.output.dense.weight"
    assert not torch.equal(full.state_dict()[name], half.state_dict()[name])
    torch.testing.assert_close(full.state_dict()[name], half.state_dict()[name], atol=0.03, rtol=0.1)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_half_precision_passes_keep_the_loss(name):
    teacher, student = small_model(name, seed=1), cut(small_model(name, seed=2), [0, 1])
    objective = build_objective("ahqkv", student.config, teacher.config, None)
    recipe = Recipe(features=1.0, pairs=((2, 4),), interpolate=True, consistency=0.1)
    module = Distiller(student, recipe, teacher, objective).train()
    losses = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            output = module(padded_batch(), lam=0.7, progress=1.0)
        output["loss"].backward()
        assert all(total.dtype == torch.float32 for total, _ in output["terms"].values())
        losses.append(float(output["loss"].detach()))
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_sampler_is_a_permutation_in_batches_of_like_length():
    lengths = np.random.default_rng(0).integers(3, 60, 1003).tolist()
    sampler = LengthGroupedSampler(lengths, 16, 1, 2)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == list(range(1003))
    batches = [orders[0][i : i + 16] for i in range(0, 1003, 16)]
    spread = np.mean([np.ptp([lengths[i] for i in batch]) for batch in batches])
    assert spread < 10  # of 56 without grouping
    assert any(batch != sorted(batch, key=lambda i: -lengths[i]) for batch in batches)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 63])
def test_sampler_takes_every_row_of_small_data(count):
    sampler = LengthGroupedSampler([5] * count, 16, 0)
    assert sorted(sampler) == list(range(count))
    assert len(sampler) == count


def test_collator_pads_and_marks_missing_labels():
    data = [{"input_ids": [2, 5, 3], "attention_mask": [1, 1, 1], "labels": None, "teacher_logits": [0.5, 1.0]},
            {"input_ids": [2, 3], "attention_mask": [1, 1], "labels": 1.0, "teacher_logits": [1.5, 0.0]}]  # fmt: skip
    batch = Collator(tiny_tokenizer())(data)
    assert batch["input_ids"].tolist() == [[2, 5, 3], [2, 3, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["labels"].isnan().tolist() == [True, False]
    assert batch["teacher_logits"].shape == (2, 2)


def test_streams_differ_by_every_part():
    seeds = {stream(1, "ild", "order"), stream(2, "ild", "order"), stream(1, "kd", "order"), stream(1, "ild", "lambda")}
    assert len(seeds) == 4


def test_a_log_is_cut_back_to_the_checkpoint(tmp_path):
    path = tmp_path / "steps.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    assert trim_log(path, 2) == [{"step": 1}, {"step": 2}]
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_teacher_is_no_part_of_the_module():
    student, teacher = small_model("bert"), small_model("bert", seed=1)
    module = Distiller(student, Recipe(distillation=1.0), teacher)
    assert len(list(module.parameters())) == len(list(student.parameters()))
    assert not any("teacher" in name for name in module.state_dict())
    module.train()
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    assert deepcopy(module).teacher is not teacher
