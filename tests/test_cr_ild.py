"""Interpolation and consistency: that they act, and exactly as `method.md` section 6 says."""

from copy import deepcopy

import pytest
import torch

from crild.distiller import CONSISTENCY, Distiller, Recipe, consistency_terms
from crild.methods import build_objective
from crild.models.capture import capture
from crild.models.interpolation import Mixing, draw_lambda, neighbours
from crild.models.students import cut
from tests.architectures import padded_batch, small_model

LAM = 0.8


def make(features="ah", seed=2, double=False, ema=None, consistency=0.1, dropout=0.0):
    teacher = small_model("bert", seed=1)
    student = cut(small_model("bert", seed=seed), [0, 1])
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    if double:
        teacher, student = teacher.double(), student.double()
    objective = build_objective(features, student.config, teacher.config, None)
    recipe = Recipe(features=1.0, pairs=((2, 4),), interpolate=True, consistency=consistency, ema_decay=ema)
    return Distiller(student, recipe, teacher, objective).train()


def values(output):
    return {k: float(total / count) for k, (total, count) in output["terms"].items()}


def consistency_loss(module, batch):
    """0.1 times the consistency terms, with their gradient (the distiller's output detaches them for the log)."""
    terms = module._feature_terms(batch, LAM)
    return sum(0.1 * total / count for name, (total, count) in terms.items() if name.startswith(CONSISTENCY))


@pytest.mark.parametrize("features", ["ah", "qkv"])
def test_consistency_gradient_equals_finite_differences(features):
    module = make(features, double=True)
    batch = padded_batch()
    weight = module.student.bert.encoder.layer[-1].attention.self.query.weight

    # The targets are a constant in the loss: hold them fixed while the weight is moved.
    with torch.no_grad():
        inputs = {k: batch[k] for k in ("input_ids", "attention_mask")}
        frozen = capture(deepcopy(module.student).eval(), inputs, module.objective.needs, [2])
    (gradient,) = torch.autograd.grad(consistency_loss(module, batch), weight)
    assert gradient.abs().max() > 1e-8

    mixing = module.mixing(batch["attention_mask"], LAM)

    def with_fixed_targets() -> float:
        with torch.no_grad():
            mixed = capture(module.student, inputs, module.objective.needs, [2], mixing)
            terms = consistency_terms(module.objective, mixed, frozen, mixing, [2])
            return sum(0.1 * float(total / count) for total, count in terms.values())

    step = 1e-6
    for i, j in ((0, 0), (3, 7), (11, 20), (23, 23)):
        with torch.no_grad():
            weight[i, j] += step
            above = with_fixed_targets()
            weight[i, j] -= 2 * step
            below = with_fixed_targets()
            weight[i, j] += step
        assert float(gradient[i, j]) == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-9)


def test_no_gradient_flows_into_the_targets():
    module = make(ema=0.9)
    module(padded_batch(), lam=LAM, progress=1.0)["loss"].backward()
    assert all(p.grad is None and not p.requires_grad for p in module.ema.parameters())
    assert all(p.grad is None for p in module.teacher.parameters())


def test_consistency_agrees_with_a_loop_over_examples():
    module, batch = make("h"), padded_batch()
    mixing = module.mixing(batch["attention_mask"], LAM)
    with torch.no_grad():
        mixed = capture(module.student, batch, ("hidden",), [2], mixing).layers[2].hidden
        clean = capture(module.student, batch, ("hidden",), [2]).layers[2].hidden
    total, count = 0.0, 0
    for i, j in enumerate(mixing.partners.tolist()):
        for weight, target in ((LAM, i), (1 - LAM, j)):
            for token in batch["attention_mask"][target].nonzero().flatten().tolist():
                total += weight * float((mixed[i, token] - clean[target, token]).square().mean())
        count += int(batch["attention_mask"][i].sum())
    assert values(module(batch, lam=LAM))["consistency/hidden"] == pytest.approx(total / count, rel=1e-5)


def test_consistency_is_zero_for_equal_inputs_without_dropout():
    one = padded_batch((6,))
    batch = {name: x.repeat(4, 1) for name, x in one.items()}
    found = values(make("ahqkv")(batch, lam=LAM, progress=1.0))
    terms = {k: v for k, v in found.items() if k.startswith(CONSISTENCY)}
    assert len(terms) == 5
    assert all(abs(value) < 1e-6 for value in terms.values())
    assert any(v > 1e-4 for k, v in found.items() if not k.startswith(CONSISTENCY))


def test_targets_come_from_a_pass_without_dropout_and_touch_no_random_stream():
    module, plain, batch = make(dropout=0.5), make(dropout=0.5, consistency=0.0), padded_batch()
    torch.manual_seed(0)
    with_term = module(batch, lam=LAM)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    without = plain(batch, lam=LAM)
    assert torch.equal(state, torch.get_rng_state())
    assert values(with_term)["hidden"] == values(without)["hidden"]


def test_weights_follow_the_ramp():
    module = make()
    for progress in (0.0, 0.25, 1.0):
        output = module(padded_batch(), lam=LAM, progress=progress)
        assert output["weights"]["consistency/attention"] == pytest.approx(0.1 * progress)
        assert output["weights"]["attention"] == 1.0
        expected = sum(output["weights"][k] * v for k, v in values(output).items())
        assert float(output["loss"].detach()) == pytest.approx(expected, rel=1e-5)


def test_moving_average_follows_the_student():
    module = make(ema=0.9)
    before = [p.clone() for p in module.ema.parameters()]
    with torch.no_grad():
        for p in module.student.parameters():
            p.add_(1.0)
    module.after_step()
    for old, new in zip(before, module.ema.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)


@pytest.mark.parametrize(
    ("rows", "partners"), [(1, [0]), (2, [1, 0]), (3, [1, 2, 0]), (5, [1, 0, 3, 4, 2]), (6, [1, 0, 3, 2, 5, 4])]
)
def test_partners_are_neighbours(rows, partners):
    assert neighbours(rows) == partners
    assert sorted(neighbours(rows)) == list(range(rows))


def test_a_batch_of_one_is_not_interpolated():
    module, batch = make(), padded_batch((6,))
    mixed = values(module(batch, lam=LAM))
    module.recipe = Recipe(features=1.0, pairs=((2, 4),))
    plain = values(module(batch, lam=None))
    assert mixed["hidden"] == pytest.approx(plain["hidden"], rel=1e-5)


def test_lambda_is_a_function_of_its_seed_and_at_least_one_half():
    draws = [draw_lambda(42, 7, step) for step in range(500)]
    assert draws == [draw_lambda(42, 7, step) for step in range(500)]
    assert all(0.5 <= lam <= 1.0 for lam in draws)
    assert 0.73 < sum(draws) / 500 < 0.77  # uniform on [1/2, 1]


def test_union_mask():
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]])
    assert Mixing.of("neighbour", 0.5, 2).union(mask).tolist() == [[1, 1, 1, 0], [1, 1, 1, 0]]
