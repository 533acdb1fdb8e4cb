"""A hunt for numbers that are none: every objective, on random shapes, masks, values and precisions."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from crild.errors import CrildError
from crild.features import Features, LayerFeatures
from crild.objectives import OBJECTIVES, compose
from crild.tasks.registry import TASK_TYPES
from tests.objectives.situations import TENSORS, draw, leaves, shape
from tests.oracles import SLOW

MAPS = ("last", "uniform", "skip", "last-k", "random", "all", "emd", "first")
CONTENTS = {
    "random": lambda x: x,
    "all zero": lambda x: x * 0,
    "all one": torch.ones_like,
    "rows alike": lambda x: x[:1].expand_as(x),
    "one peak": lambda x: (x == x.amax(-1, keepdim=True)).to(x),
    "large": lambda x: x * 1e4,
    "small": lambda x: x * 1e-4,
    "vanishing": lambda x: x * 1e-20,
}


@some.composite
def models(draw_from):
    """Two models that are about as wide, or not."""
    heads, size = draw_from(some.integers(1, 3)), draw_from(some.sampled_from((1, 2, 4)))
    outputs, width = draw_from(some.sampled_from((1, 2, 5))), heads * size
    ours = shape(draw_from(some.integers(1, 3)), width, heads, outputs=outputs)
    return ours, shape(draw_from(some.integers(3, 5)), draw_from(some.sampled_from((width, heads * 3))), heads,
                       outputs=outputs)  # fmt: skip


def filled(features: Features, content: str, dtype: torch.dtype) -> Features:
    """The same mask, with other values."""

    def fill(x: torch.Tensor) -> torch.Tensor:
        return CONTENTS[content](x).to(dtype).clone()

    layers = {
        number: LayerFeatures(*(fill(getattr(each, name)) for name in TENSORS), each.window)
        for number, each in features.layers.items()
    }
    return replace(features, layers=layers, logits=fill(features.logits))


def test_every_objective_is_hunted_in():
    assert set(SLOW) == set(OBJECTIVES)


@pytest.mark.parametrize("name", SLOW)
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    models=models(),
    layer_map=some.sampled_from(MAPS),
    lengths=some.lists(some.sampled_from((1, 1, 2, 3, 9)), min_size=1, max_size=5),
    contents=some.tuples(*[some.sampled_from(sorted(CONTENTS))] * 2),
    dtype=some.sampled_from((torch.float32, torch.bfloat16)),
    same=some.booleans(),
)
@example((shape(3), shape(5)), "uniform", [3, 1, 9, 7], ("vanishing", "vanishing"), torch.float32, False)
@example((shape(3), shape(5)), "skip", [2], ("vanishing", "vanishing"), torch.bfloat16, False)
def test_loss_and_gradients_are_numbers(name, models, layer_map, lengths, contents, dtype, same):
    """Rows of one token, one row, equal rows, a student that is its teacher, values near 0 and far from it."""
    ours, theirs = (models[0], models[0]) if same else models
    try:
        torch.manual_seed(0)
        objective = compose(name, layer_map, ours, theirs).eval()
    except CrildError:  # a map that is not for this objective, or these layers
        return
    student = replace(filled(draw(1, ours, tuple(lengths)), contents[0], dtype), words=None)
    teacher = filled(draw(1 if same else 2, theirs, tuple(lengths)), contents[0 if same else 1], dtype)
    tensors = [*leaves(student, objective), *(each for each in objective.parameters() if each.requires_grad)]
    terms = objective(student, teacher)
    assert all(total.isfinite() for total, _ in terms.values())
    loss = sum(total / max(int(count), 1) for total, count in terms.values())
    gradients = torch.autograd.grad(loss, tensors, allow_unused=True)
    assert all(each.isfinite().all() for each in gradients if each is not None)


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    name=some.sampled_from(sorted(TASK_TYPES)),
    rows=some.integers(1, 4),
    classes=some.integers(1, 4),
    known=some.integers(0, 4),
    scale=some.sampled_from((0.0, 1e-20, 1.0, 1e3)),
    temperature=some.sampled_from((1e-2, 1.0, 100.0)),
    dtype=some.sampled_from((torch.float32, torch.bfloat16)),
)
def test_losses_on_labels_and_logits_are_numbers(name, rows, classes, known, scale, temperature, dtype):
    """Rows without a label among them, or none with one; one class; logits all alike or far apart."""
    task_type, generator = TASK_TYPES[name], torch.Generator().manual_seed(rows)
    width = 1 if name == "regression" else classes
    ours, theirs = (scale * torch.randn(rows, width, generator=generator) for _ in range(2))
    ours = ours.to(dtype).float().requires_grad_()  # logits are taken to full precision, as a stage does
    labels = torch.zeros(rows, width) if name == "multi-label" else torch.zeros(rows)
    labels[known:] = float("nan")
    partners = torch.arange(rows).roll(1)
    for total, count in (
        task_type.loss(ours, labels),
        task_type.mixed_loss(ours, labels, 0.3, partners),
        task_type.distillation(ours, theirs.to(dtype).float(), temperature),
    ):
        assert total.isfinite()
        (gradient,) = torch.autograd.grad(total / max(int(count), 1), ours, allow_unused=True)
        assert gradient is None or gradient.isfinite().all()
