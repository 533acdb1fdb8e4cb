"""The trainer: exact means under accumulation, what is frozen, what falls, what a resume needs."""

import gc
import json
import re
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import TrainerCallback

from crild.checkpoints import flaw, step_of
from crild.config import StageSettings
from crild.errors import CrildError
from crild.inference import predict
from crild.methods import METHODS
from crild.methods.recipe import Recipe
from crild.models.cut import cut
from crild.objectives import Shape, compose
from crild.training.distiller import Distiller
from crild.training.stage import CheckpointsDue, StageTrainer, trim_log
from crild.training.trainer import BESIDE, stream
from tests.architectures import VOCAB, small_model
from tests.tiny import tiny_tokenizer

CR_ILD = Recipe(intermediate_weight=1.0, interpolate=True, consistency=0.1)
PLAIN = Recipe(intermediate_weight=1.0)
LOGITS = Recipe(distillation=0.5, task=0.5)


def paper(method, name="joint"):
    return next(phase.recipe for phase in METHODS[method].paper if phase.name == name)


MIXKD = Recipe(
    intermediate_weight=1.0, mixed_task=1.0, task=1.0, interpolate=True
)  # the paper's, as a run completes it


FUNCTION_MATCHING = Recipe(distillation=1.0, interpolate_logits=True)


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


def new_student(layers=2, dropout=0.0):
    student = cut(small_model("bert", seed=2, pad_token_id=0), list(range(layers)))
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    return student


def trainer_of(folder, features="ah", layer_map="last", recipe=CR_ILD, student=None, depth=4, count=48, **options):
    """Return a trainer of a small student; ``options`` are its own or `StageSettings`."""
    teacher = small_model("bert", seed=1, pad_token_id=0, num_hidden_layers=depth)
    student = student or new_student()
    torch.manual_seed(9)  # of learned maps
    objective = compose(features, layer_map, Shape.of(student.config), Shape.of(teacher.config))
    own = {
        name: options.pop(name)
        for name in ("precision", "gradient_checkpointing", "callbacks", "score")
        if name in options
    }
    seed, stage = options.pop("seed", 1), options.pop("stage", "ild")
    settings = StageSettings(**{"epochs": 2, "batch_size": 8, "learning_rate": 1e-3} | options)
    folder.mkdir(exist_ok=True, parents=True)
    module = Distiller(student, recipe, teacher, objective if recipe.uses_objective else None)
    data = rows(count), rows(16, 1), tiny_tokenizer()
    return StageTrainer(module, *data, settings, folder, stage, seed, **own)


def train(folder, *args, **options):
    trainer = trainer_of(folder, *args, **options)
    trainer.run()
    return trainer.distiller.student.cpu()


@pytest.mark.parametrize("epsilon", [1e-8, 1e-6])
def test_the_recipe_sets_adams_epsilon(tmp_path, epsilon):
    trainer = trainer_of(tmp_path, recipe=replace(LOGITS, adam_epsilon=epsilon))
    trainer.create_optimizer()
    assert {group["eps"] for group in trainer.optimizer.param_groups} == {epsilon}


def held_out_batch(trainer):
    return trainer._prepare_inputs(trainer.data_collator(list(rows(16, 1))))


def state(module):
    return {name: x.detach().cpu().clone() for name, x in module.state_dict().items()}


def log(folder, name="steps"):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").open()]


JOINT = Recipe(intermediate_weight=0.5, distillation=0.7, task=0.3)


@pytest.mark.parametrize(
    ("features", "layer_map", "recipe"),
    [
        ("ah", "last", CR_ILD),
        ("ah", "last", LOGITS),
        ("ah", "last", replace(LOGITS, interpolate_logits=True)),
        ("embeddings+ah", "uniform", JOINT),
        ("pkd", "skip", paper("pkd")),
        ("rail-kd", "random", paper("rail-kd")),
        ("ckd", "uniform", paper("ckd")),
        ("alp-kd", "all", paper("alp-kd")),
        ("ted", "uniform", Recipe(filters=1.0)),
        ("ted", "uniform", paper("ted")),
        ("logits", "last", MIXKD),
    ],
)
def test_accumulation_changes_nothing(tmp_path, features, layer_map, recipe):
    # The last batch has 2 rows, one micro-batch; every fourth row has no label, so some micro-batches have none.
    options = {"features": features, "layer_map": layer_map, "recipe": recipe, "count": 50, "batch_size": 8}
    trainers = [trainer_of(tmp_path / name, **options, accumulation=n) for name, n in (("a", 1), ("b", 4))]
    for trainer in trainers:
        trainer.run()
    whole, parts = (trainer.distiller.cpu() for trainer in trainers)
    for (name, one), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        if not name.endswith("key.bias"):  # softmax cancels it: its gradient is rounding noise, which Adam blows up
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-3, msg=name)
    ours, theirs = (log(tmp_path / name) for name in "ab")
    assert len(ours) == 14
    for one, other in zip(ours, theirs, strict=True):
        assert {k: t["count"] for k, t in one["terms"].items()} == {k: t["count"] for k, t in other["terms"].items()}
        assert [t["weight"] for t in one["terms"].values()] == [t["weight"] for t in other["terms"].values()]
    assert [s["loss"] for s in ours] == pytest.approx([s["loss"] for s in theirs], rel=1e-4)


def test_the_first_entry_of_the_history_is_where_the_stage_starts(tmp_path):
    trainer = trainer_of(tmp_path, recipe=JOINT, score=lambda logits: 0.5)
    before = deepcopy(trainer.distiller).eval()
    trainer.run()
    history = log(tmp_path, "history")
    assert [entry["step"] for entry in history] == [0, 6, 12]
    assert [entry["epoch"] for entry in history] == [0, 1, 2]
    assert history[0]["train"] == {}
    assert ["score" in entry for entry in history] == [False, True, True]  # the student as it came is never the best
    with torch.no_grad():
        terms = before(held_out_batch(trainer), progress=1.0)["terms"]
    assert history[0]["held_out"] == pytest.approx({k: float(x / n) for k, (x, n) in terms.items()}, rel=1e-4)


@pytest.mark.parametrize(("keep", "epochs"), [("best", [2]), ("last", [3]), ("average", [2, 3])])
def test_a_stage_ends_with_the_weights_that_are_to_be_kept(tmp_path, keep, epochs):
    def run(name, weights, stop=None):
        def score(_):  # noted with the weights it is given for; the second epoch's is the best
            weights.append(state(trainer.distiller.student))
            return [0.4, 0.9, 0.4][len(weights) - 1]

        options = {"count": 32, "epochs": 3, "save_steps": 5, "keep": keep, "callbacks": [Watch(stop=stop)]}
        trainer = trainer_of(tmp_path / name, recipe=LOGITS, score=score, **options)
        trainer.run()
        return state(trainer.distiller.student)

    def same(one, other):
        return all(torch.equal(x, other[name]) for name, x in one.items())

    seen, again = [], []
    kept = run("whole", seen)
    assert [same(kept, each) for each in seen] == [[number] == epochs for number in (1, 2, 3)]
    for name, x in kept.items():
        torch.testing.assert_close(x, sum(seen[n - 1][name] for n in epochs) / len(epochs), rtol=0, atol=1e-6)
    with pytest.raises(InterruptedError):
        run("cut", again, stop=11)  # after the best epoch, of 4 steps each
    assert same(kept, run("cut", again))


def test_an_average_is_of_real_numbers_at_the_ends_of_the_last_epochs(tmp_path):
    student = new_student()
    student.register_buffer("number", torch.tensor(0))
    trainer = trainer_of(
        tmp_path, recipe=LOGITS, student=student, count=32, epochs=6, keep="average", score=lambda _: 0
    )
    weight = student.classifier.weight.data
    for step, value in ((4, 9), (12, 9), (13, 9), (16, 1), (18, 9), (20, 3), (24, 8)):  # 4 steps an epoch
        weight.fill_(value)
        student.number.fill_(value)
        trainer.average(step)
        assert (trainer.kept is None) == (step < 16)
    torch.testing.assert_close(trainer.kept["classifier.weight"], torch.full_like(weight, 4.0))
    assert trainer.kept["number"] == 8
    assert trainer.kept["classifier.weight"].dtype == torch.float32


def test_a_stage_without_logits_is_not_averaged(tmp_path):
    ends = [state(train(tmp_path / keep, recipe=PLAIN, epochs=2, keep=keep)) for keep in ("last", "average")]
    assert all(torch.equal(x, ends[1][name]) for name, x in ends[0].items())


def test_held_out_loss_falls_and_not_without_learning(tmp_path):
    def first_and_last(name, rate):
        train(tmp_path / name, learning_rate=rate, epochs=5)
        values = [entry["held_out"] for entry in log(tmp_path / name, "history")]
        return [v["attention"] + v["hidden"] for v in (values[0], values[-1])]

    first, last = first_and_last("learns", 3e-3)
    assert last < 0.9 * first
    first, last = first_and_last("still", 1e-12)
    assert last == pytest.approx(first, rel=1e-6)


def test_seed_decides_everything(tmp_path):
    one, same, other = (train(tmp_path / n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    key = "bert.encoder.layer.1.attention.self.query.weight"
    assert torch.equal(one.state_dict()[key], same.state_dict()[key])
    assert not torch.equal(one.state_dict()[key], other.state_dict()[key])


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
    student = new_student()
    before = state(student)
    train(tmp_path / "x", features, student=student)
    for name, value in state(student).items():
        if any(part in name for part in frozen):
            assert torch.equal(value, before[name]), name
        elif any(part in name for part in trained) and "key.bias" not in name:
            assert not torch.equal(value, before[name]), name


class Optimiser(TrainerCallback):
    """Note parameters, gradients and the rate just before and after every optimiser step."""

    def __init__(self):
        self.before, self.gradients, self.after, self.rates = [], [], [], []

    @staticmethod
    def trained(model):
        return {name: p for name, p in model.named_parameters() if p.requires_grad}

    def on_pre_optimizer_step(self, args, state, control, model=None, optimizer=None, **kwargs):
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.before.append({name: p.detach().double() for name, p in self.trained(model).items()})
        self.gradients.append({name: p.grad.double() for name, p in self.trained(model).items()})

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.after.append({name: p.detach().double() for name, p in self.trained(model).items()})


def test_a_stage_is_trained_by_adamw_with_decay_warm_up_a_linear_schedule_and_clipping(tmp_path):
    """`method.md` section 3: every step against AdamW written out, and the gradients against unclipped ones."""
    watch, peak, steps = Optimiser(), 1e-3, 30
    options = {"recipe": replace(JOINT, task=60.0), "count": 48, "epochs": 5, "learning_rate": peak}
    trainer = trainer_of(tmp_path, callbacks=[watch], **options)
    twin = deepcopy(trainer.distiller).train()
    trainer.run()
    # warm-up over a tenth of all steps, from 0; then a line that ends at 0
    expected = [peak * (n / 3 if n < 3 else (steps - n) / (steps - 3)) for n in range(steps)]
    assert watch.rates == pytest.approx(expected, rel=1e-9)
    assert [entry["learning_rate"] for entry in log(tmp_path)] == pytest.approx(expected, rel=1e-9)
    # clipped at norm 1, all parameters together: the first step's gradient is that of the loss but for its length
    norms = [float(sum(g.square().sum() for g in gradients.values()).sqrt()) for gradients in watch.gradients]
    assert norms[0] == pytest.approx(1.0, rel=1e-3)
    assert max(norms) < 1.0001
    batch = [trainer.train_dataset[i] for i in list(trainer._get_train_sampler())[:8]]
    twin(trainer._prepare_inputs(trainer.data_collator(batch)), progress=0.0)["loss"].backward()
    unclipped = {name: p.grad.double() for name, p in twin.named_parameters() if name in watch.gradients[0]}
    norm = float(sum(g.square().sum() for g in unclipped.values()).sqrt())
    assert norm > 2
    for name, gradient in unclipped.items():
        torch.testing.assert_close(watch.gradients[0][name], gradient / norm, atol=1e-6, rtol=1e-3, msg=name)
    # decoupled decay of 0.01, but for biases and norms
    kinds = {name: "bias" in name or "LayerNorm" in name for name in watch.before[0]}
    assert set(kinds.values()) == {True, False}
    for name, plain in kinds.items():
        first, second = torch.zeros_like(watch.before[0][name]), torch.zeros_like(watch.before[0][name])
        for n, rate in enumerate(expected):
            gradient = watch.gradients[n][name]
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            step = first / (1 - 0.9 ** (n + 1)) / ((second / (1 - 0.999 ** (n + 1))).sqrt() + 1e-8)
            wanted = watch.before[n][name] * (1 - rate * (0.0 if plain else 0.01)) - rate * step
            torch.testing.assert_close(watch.after[n][name], wanted, atol=3e-7, rtol=3e-6, msg=f"{name}, step {n}")


def test_precisions_can_follow_each_other_in_one_process(tmp_path):
    full, half = train(tmp_path / "a"), train(tmp_path / "b", precision="bf16")
    assert full.dtype == half.dtype == torch.float32
    name = "bert.encoder.layer.0.output.dense.weight"
    assert not torch.equal(full.state_dict()[name], half.state_dict()[name])
    torch.testing.assert_close(full.state_dict()[name], half.state_dict()[name], atol=0.03, rtol=0.1)


class Watch(TrainerCallback):
    """Note something at every step; fall over after one of them, before it is saved."""

    def __init__(self, look=None, stop=None):
        self.look, self.stop, self.seen = look, stop, []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if self.look is not None:
            self.seen.append(self.look(model))
        if state.global_step == self.stop:
            raise InterruptedError


def draws(folder, **options):
    watch = Watch(lambda module: tuple(module.objective.layer_map.drawn.tolist()))
    trainer = trainer_of(
        folder, "rail-kd", "random", PLAIN, new_student(3), depth=8, epochs=5, count=24, callbacks=[watch], **options
    )
    trainer.run()
    return watch.seen, trainer


def test_a_random_layer_map_is_drawn_anew_each_epoch_as_a_function_of_seed_stage_and_epoch(tmp_path):
    seen, trainer = draws(tmp_path / "a", save_steps=5)
    assert len(seen) == 15
    epochs = [set(seen[start : start + 3]) for start in range(0, 15, 3)]
    assert all(len(epoch) == 1 for epoch in epochs)
    assert len(set(seen)) >= 3
    for drawn in seen:  # two of the teacher's layers below its last
        assert len(drawn) == 2
        assert 1 <= drawn[0] < drawn[1] <= 7
    expected = deepcopy(trainer.distiller.objective.layer_map).train()
    for epoch, drawn in enumerate(epochs):
        expected.redraw(*stream(1, "ild", "layers", epoch))
        assert expected.pairs == ((1, min(drawn)[0]), (2, min(drawn)[1]))
    # rates, rhythm and micro-batches do not matter; seed and stage do
    assert draws(tmp_path / "b", learning_rate=0.0, save_steps=2, accumulation=4)[0] == seen
    assert draws(tmp_path / "c", seed=2)[0] != seen
    assert draws(tmp_path / "d", stage="joint")[0] != seen
    saved = load_file(trainer.checkpoints()[-1] / BESIDE)
    assert tuple(saved["objective.layer_map.drawn"].tolist()) == seen[-1]


def test_checkpoints_are_every_save_steps_and_at_no_other_step(tmp_path):
    def done_when_stopped(name, stop, **options):  # 4 steps an epoch, each with an evaluation
        options |= {"count": 32, "epochs": 3, "callbacks": [Watch(stop=stop)]}
        with pytest.raises(InterruptedError):
            trainer_of(tmp_path / name, "ah", "last", PLAIN, new_student(3), **options).run()
        return trainer_of(tmp_path / name, "ah", "last", PLAIN, new_student(3), **options).steps_done()

    assert done_when_stopped("a", 9, save_steps=5) == 5  # not 8, the end of an epoch
    assert done_when_stopped("b", 11, save_steps=100) == 0


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, caplog):
    def trainer(name, **options):  # 4 steps an epoch
        options |= {"count": 32, "epochs": 3, "save_steps": 3}
        return trainer_of(tmp_path / name, recipe=LOGITS, student=new_student(dropout=0.2), **options)

    whole = trainer("whole")
    whole.run()
    assert [step_of(path) for path in whole.checkpoints()] == [9, 12]  # two at a time, of the four that were written
    with pytest.raises(InterruptedError):
        trainer("cut", callbacks=[Watch(stop=11)]).run()
    (tmp_path / "cut/checkpoint-9/optimizer.pt").write_bytes(bytes(100))
    with caplog.at_level("WARNING", "crild"):
        resumed = trainer("cut")
        assert resumed.steps_done() == 6
    (line,) = caplog.messages
    assert re.fullmatch(
        r"stage ild: checkpoint-9 is damaged \(optimizer.pt has 100 of \d+ bytes\); going on from step 6", line
    )
    resumed.run()
    assert not list(tmp_path.rglob("incomplete"))
    assert all(torch.equal(x, whole.student.state_dict()[name]) for name, x in resumed.student.state_dict().items())
    assert log(tmp_path / "whole") == log(tmp_path / "cut")
    for each in resumed.checkpoints():
        (each / "model.safetensors").unlink()
    caplog.clear()
    assert trainer("cut").steps_done() == 0
    assert [message.rpartition("; ")[2] for message in caplog.messages] == ["the stage begins anew"] * 2


def poison(step, weight):
    """Make one number of a weight NaN after a step, before it is saved; gradients do the rest."""

    def on_step_end(module):
        callback.steps += 1
        if callback.steps == step:
            with torch.no_grad():
                dict(module.named_parameters())[f"student.{weight}"].view(-1)[0] = float("nan")

    callback = Watch(on_step_end)
    callback.steps = 0
    return callback


ATTENTION, POOLER = "bert.encoder.layer.0.attention.self.value.weight", "bert.pooler.dense.weight"


@pytest.mark.parametrize(
    ("options", "said", "kept"),
    [
        # seen by the log at the next checkpoint; by the weights before a checkpoint of them; by the evaluation
        (
            {"callbacks": [poison(5, ATTENTION)], "save_steps": 3},
            r"diverged by step 6: the term kd is nan; .*step 3 is",
            3,
        ),
        (
            {"callbacks": [poison(6, ATTENTION)], "save_steps": 3},
            rf"diverged by step 6: the weights student.{ATTENTION} are no numbers any more; .*step 3 is kept",
            3,
        ),
        ({"callbacks": [poison(4, ATTENTION)]}, r"diverged by step 4: the term kd is nan; it has no checkpoint yet", 0),
        (
            {"learning_rate": 1e4, "precision": "bf16", "save_steps": 2},
            r"diverged by step 4: the term (kd|task) is [\d.e+]+, and began at [\d.]+; .*"
            r"step 2 is kept",
            2,
        ),
        # what no term depends on is seen where the stage ends
        (
            {"callbacks": [poison(12, POOLER)], "recipe": PLAIN},
            rf"diverged by step 12: the weights student.{POOLER} are no numbers",
            0,
        ),
    ],
)
def test_a_stage_that_diverges_says_what_did_and_keeps_its_last_good_checkpoint(tmp_path, options, said, kept):
    trainer = trainer_of(tmp_path, **{"recipe": LOGITS, "count": 32, "epochs": 3, **options})  # 4 steps an epoch
    with pytest.raises(CrildError, match=said + ".*; start another run with a learning rate below"):
        trainer.run()
    assert trainer.steps_done() == kept
    for checkpoint in trainer.checkpoints():
        assert flaw(checkpoint) is None
        assert all(x.isfinite().all() for x in load_file(checkpoint / "model.safetensors").values())


def test_a_teacher_without_numbers_is_found_before_the_first_step(tmp_path):
    trainer = trainer_of(tmp_path, recipe=LOGITS)
    with torch.no_grad():
        trainer.distiller.teacher.classifier.bias.fill_(float("nan"))
    with pytest.raises(CrildError, match="stage ild: the term kd is nan before the first step: look at the weights of"):
        trainer.run()


def test_memory_does_not_grow_with_the_steps(tmp_path):
    def living(_):
        gc.collect()
        objects = gc.get_objects()
        tensors = [x for x in objects if type(x) in (torch.Tensor, torch.nn.Parameter)]  # of no tracer that ran before
        return len(objects), len(tensors), sum(x.nbytes for x in tensors)

    seen = []

    def look(module):
        seen.append(None)
        return living(module) if len(seen) % 25 == 24 else None  # just before a flush: as much is pending each time

    options = {"score": lambda _: 0.0, "save_steps": 25, "count": 200, "epochs": 4}  # 25 steps each
    watch, recipe = Watch(look), replace(JOINT, interpolate=True, consistency=0.1)
    trainer = trainer_of(tmp_path, recipe=recipe, callbacks=[watch], **options)
    trainer.run()
    _, before, *later = (each for each in watch.seen if each is not None)
    assert len(later) == 2
    for objects, tensors, size in later:
        assert tensors == before[1]
        assert size == pytest.approx(before[2], rel=0.02)  # a batch is as wide as its longest row
        assert objects < before[0] + 50
    assert trainer.state.log_history == []  # it would be in every checkpoint too


def masses(module):
    return {name: x for name, x in state(module.objective).items() if name.endswith("_mass")}


def test_masses_are_uniform_at_first_move_with_every_step_and_are_in_checkpoints(tmp_path):
    watch = Watch(masses)
    trainer = trainer_of(tmp_path, "hidden+attention-mse", "emd", PLAIN, callbacks=[watch], save_steps=6)
    trainer.freeze_unreachable()  # tries a step to see what it reaches: that is no training
    first = masses(trainer.distiller)
    assert {name.split(".")[-1]: x.shape for name, x in first.items()} == {
        "student_mass": (1, 2),
        "teacher_mass": (1, 4),
    }
    assert len(first) == 4
    for x in first.values():
        assert torch.equal(x, torch.full_like(x, 1 / x.shape[1]))
    trainer.run()
    assert len(watch.seen) == 12
    for name, uniform in first.items():
        assert not torch.allclose(watch.seen[0][name], uniform)
        assert not torch.equal(watch.seen[0][name], watch.seen[1][name])
        for seen in watch.seen:
            assert float(seen[name].sum()) == pytest.approx(1.0, abs=1e-12)
    saved = load_file(trainer.checkpoints()[-1] / BESIDE)
    for name, x in watch.seen[-1].items():
        assert torch.equal(saved[f"objective.{name}"], x)
        assert torch.equal(masses(trainer.distiller)[name], x)


@pytest.mark.parametrize(
    ("features", "layer_map"), [("rail-kd", "random"), ("rail-kd", "emd"), ("hidden+attention-mse", "emd")]
)
def test_held_out_losses_depend_on_the_student_alone(tmp_path, features, layer_map):
    options = {"recipe": PLAIN, "depth": 8, "epochs": 4, "learning_rate": 0.0}
    trainer = trainer_of(tmp_path, features, layer_map, student=new_student(3), **options)
    trainer.run()
    history = log(tmp_path, "history")
    assert len(history) == 5
    assert all(entry["held_out"] == history[0]["held_out"] for entry in history)
    # the state did move: the very same batch reads otherwise in training
    batch = held_out_batch(trainer)
    readings = {}
    for mode in (True, False):
        module = deepcopy(trainer.distiller)
        module.objective.train(mode)
        with torch.no_grad():
            readings[mode] = {k: float(x / n) for k, (x, n) in module(batch)["terms"].items()}
    assert readings[False] == pytest.approx(history[0]["held_out"], rel=1e-5)
    assert all(readings[True][k] != pytest.approx(x, rel=1e-3) for k, x in readings[False].items())


EMD, RAIL, TED = ("hidden+attention-mse", "emd"), ("rail-kd", "random"), ("ted", "uniform")


@pytest.mark.parametrize(
    ("features", "layer_map", "recipe", "stops"),
    [
        # before any checkpoint; within an epoch; at the first step of the next one
        (*EMD, PLAIN, (2, 6, 9)),
        (*RAIL, PLAIN, (2, 6, 9)),
        (*EMD, paper("bert-emd"), (6,)),
        (*RAIL, paper("rail-kd"), (9,)),
        (*TED, Recipe(filters=1.0), (6, 9)),
        (*TED, PLAIN, (6,)),
        ("ah", "last", replace(CR_ILD, ema_decay=0.9), (6,)),
        ("logits", "last", MIXKD, (6,)),
        ("ah", "last", FUNCTION_MATCHING, (6,)),
    ],
)
def test_an_interrupted_stage_ends_as_one_that_ran_through(tmp_path, features, layer_map, recipe, stops):
    def trainer(name, **options):  # 4 steps an epoch
        student, options = new_student(3, dropout=0.2), options | {"count": 32, "epochs": 3}
        return trainer_of(tmp_path / name, features, layer_map, recipe, student, 6, **options)

    whole = trainer("whole")
    whole.run()
    ours = state(whole.distiller)
    assert any(name.startswith("objective.") for name in ours) == (features not in ("ah", "logits"))
    for stop in stops:
        name, every = f"cut-{stop}", 4 if stop == 9 else 5  # checkpoints at the end of an epoch, or within one
        with pytest.raises(InterruptedError):
            trainer(name, save_steps=every, callbacks=[Watch(stop=stop)]).run()
        resumed = trainer(name, save_steps=every)
        assert resumed.steps_done() == {2: 0, 6: 5, 9: 8}[stop]
        if resumed.steps_done():  # all state is in the checkpoint
            with torch.no_grad():
                for tensor in resumed.distiller.state_dict().values():
                    tensor.add_(1)
        resumed.run()
        theirs = state(resumed.distiller)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(x, theirs[name]) for name, x in ours.items())
        assert log(tmp_path / "whole") == log(tmp_path / name)
        histories = [log(tmp_path / folder, "history") for folder in ("whole", name)]
        assert len(histories[0]) == len(histories[1]) == 4
        for one, other in zip(*histories, strict=True):  # means of what was logged are added up again
            assert one.pop("train") == pytest.approx(other.pop("train"), rel=1e-12)
            assert one == other


def test_a_filter_stage_trains_filters_alone_and_the_teachers_stay_afterwards(tmp_path):
    student = new_student()
    before = state(student)
    trainer = trainer_of(tmp_path / "filters", "ted", "uniform", Recipe(filters=1.0), student, epochs=4)
    objective = trainer.distiller.objective
    drawn = state(objective)
    trainer.run()
    assert all(torch.equal(v, before[k]) for k, v in state(student).items())
    assert not any(torch.equal(v, drawn[k]) for k, v in state(objective).items())
    terms = [entry["held_out"] for entry in log(tmp_path / "filters", "history")]
    assert terms[0].keys() == {"filter_student", "filter_teacher"}

    student.requires_grad_(True)
    trained = state(objective)
    following = trainer_of(tmp_path / "ild", "ted", "uniform", PLAIN, student)
    following.distiller.objective.load_state_dict(trained)
    following.run()
    for name, value in state(following.distiller.objective).items():
        assert torch.equal(value, trained[name]) == (".heads." in name or "teacher" in name), name
    name = "bert.encoder.layer.0.output.dense.weight"
    assert not torch.equal(state(student)[name], before[name])


def test_mixkd_as_in_its_paper_learns(tmp_path):
    assert paper("mixkd") == Recipe(intermediate_weight=1.0, mixed_task=1.0, task=1.0)
    trainer = trainer_of(tmp_path, "logits", "last", MIXKD, epochs=6, learning_rate=3e-3, score=lambda x: 0.0)
    trainer.run()
    history = log(tmp_path, "history")
    assert history[0]["held_out"].keys() == {"logits", "mixed_task", "task"}
    assert history[-1]["held_out"]["logits"] < 0.9 * history[0]["held_out"]["logits"]
    assert all("score" in entry for entry in history[1:])  # of plain inputs
    for entry in log(tmp_path):
        labelled = entry["terms"]["task"]["count"]
        assert 0 < labelled <= 8
        assert {k: t["count"] for k, t in entry["terms"].items()} == {
            "logits": 8, "mixed_task": labelled, "task": labelled,
        }  # fmt: skip
        assert 0.5 <= entry["lambda"] <= 1
    # all parameters learn: the pooler and the head are on the way to the logits
    assert all(p.requires_grad for p in trainer.distiller.student.parameters())


@pytest.mark.parametrize(("count", "steps"), [(50, [0, 6, 12]), (48, [0, 6, 12]), (5, [0, 1, 2])])
def test_a_stage_without_incomplete_batches_padded_to_one_length(tmp_path, count, steps):
    options = {"grouped": False, "drop_last": True, "pad_to": 20, "count": count}
    recipe = Recipe(intermediate_weight=1.0, interpolate=True, partners="reversed", masked=False)
    trainer = trainer_of(tmp_path / "a", "qkv", recipe=recipe, **options)
    trainer.run()
    assert trainer.settings.steps(count) == steps[-1]
    assert [entry["step"] for entry in log(tmp_path / "a", "history")] == steps
    assert [entry["epoch"] for entry in log(tmp_path / "a", "history")] == [0, 1, 2]
    counts = {term["count"] for entry in log(tmp_path / "a") for term in entry["terms"].values()}
    assert counts == {min(count, 8) * 20}  # every position of every batch
    train(tmp_path / "b", "qkv", recipe=recipe, **{**options, "pad_to": 24})
    one, other = (log(tmp_path / name)[0]["terms"]["relation_qq"]["value"] for name in "ab")
    assert one != pytest.approx(other, rel=1e-3)


def test_streams_differ_by_every_part():
    seeds = {stream(1, "ild", "order"), stream(2, "ild", "order"), stream(1, "kd", "order"), stream(1, "ild", "lambda")}
    assert len(seeds) == 4


def test_a_log_is_cut_back_to_the_checkpoint(tmp_path):
    path = tmp_path / "steps.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    assert trim_log(path, 2, after=1) == [{"step": 2}]
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    path.write_text('{"step": 1}\n{"step": 2}')  # cut off between a line and its end
    assert trim_log(path, 2) == [{"step": 1}, {"step": 2}]
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_scores_and_held_out_terms_come_from_fp32_passes_under_bf16(tmp_path):
    seen = []
    options = {"recipe": LOGITS, "epochs": 1, "keep": "last"}
    trainer = trainer_of(tmp_path, precision="bf16", score=lambda logits: seen.append(logits) or 0.0, **options)
    trainer.run()
    student = trainer.distiller.student
    np.testing.assert_allclose(seen[-1], predict(student, rows(16, 1), tiny_tokenizer()), rtol=1e-4, atol=1e-6)
    reference = trainer_of(tmp_path / "fp32", student=deepcopy(student), **options)
    assert log(tmp_path, "history")[-1]["held_out"] == pytest.approx(reference.evaluate(), rel=1e-4)


@pytest.mark.parametrize(
    ("accumulation", "hint"), [(1, "--accumulation 2 (the same steps, 4 rows at a time)"), (8, "lower --max-length")]
)
def test_a_full_gpu_is_one_line_that_names_batch_size_and_accumulation(tmp_path, monkeypatch, accumulation, hint):
    trainer = trainer_of(tmp_path, accumulation=accumulation)

    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(trainer, "train", fail)
    with pytest.raises(CrildError, match="stage ild: out of GPU memory at batch size 8") as caught:
        trainer.run()
    assert hint in str(caught.value)


def test_checkpoints_are_minutes_apart_and_the_clock_is_asked_seldom():
    now, looks = 0.0, []

    def clock():
        looks.append(now)
        return now

    due = CheckpointsDue(StageSettings(1, 1e-3, 8, save_minutes=2.0), clock)
    saved = []
    for step in range(1, 1001):
        now += 0.7 if step < 600 else 2.1  # somebody else comes to use the machine
        if due.at(step):
            saved.append(now)
    gaps = np.diff([0.0, *saved])
    assert len(saved) == 10
    assert min(gaps) >= 120
    assert np.quantile(gaps, 0.8) < 125
    assert max(gaps) < 150  # while steps grew longer
    assert len(looks) < 120
    by_steps = CheckpointsDue(StageSettings(1, 1e-3, 8, save_steps=7), None.__class__)
    assert [step for step in range(1, 30) if by_steps.at(step)] == [7, 14, 21, 28]


def test_activations_that_are_computed_again_leave_the_student_as_it_is(tmp_path):
    def run(name, **options):
        student, calls = new_student(), []
        student.bert.encoder.layer[0].intermediate.register_forward_hook(
            lambda *_: calls.append(torch.is_grad_enabled())
        )
        train(tmp_path / name, "ahqkv", student=student, epochs=1, **options)
        return state(student), sum(calls)

    plain, passes = run("plain")
    again, more = run("again", gradient_checkpointing=True)
    assert all(torch.equal(x, again[name]) for name, x in plain.items())
    assert more > 1.5 * passes


class Waits(TorchDispatchMode):
    """Counts what would make a GPU's host wait: numbers read from tensors."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("recipe", [CR_ILD, LOGITS, replace(LOGITS, interpolate_logits=True), JOINT])
def test_nothing_waits_for_the_device_inside_a_step(tmp_path, recipe, monkeypatch):
    # transformers looks once a pass whether a batch has padding at all, for a faster attention; this is of crild alone
    monkeypatch.setattr("transformers.masking_utils._ignore_bidirectional_mask_sdpa", lambda *_, **__: False)
    trainer, waits = trainer_of(tmp_path, "ahqkv", recipe=recipe, epochs=1, accumulation=2), []
    step = trainer.training_step

    def counted(*args, **options):
        with Waits() as mode:
            loss = step(*args, **options)
        waits.append(mode.count)
        return loss

    monkeypatch.setattr(trainer, "training_step", counted)
    trainer.run()
    assert waits == [0] * 12
