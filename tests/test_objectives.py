"""Objectives against slow, obvious loops and closed forms."""

import math

import pytest
import torch
from torch import nn

from crild.errors import CrildError
from crild.features import Features, LayerFeatures
from crild.layers import layer_map
from crild.objectives import AttentionKL, Hidden, Relations, distillation_loss, task_loss, weighted_mean
from crild.objectives.relations import relation_heads, resplit
from crild.objectives.rows import relation_logits, row_divergence

PAIRS = ((1, 1),)


def random_features(seed: int, heads: int = 3, size: int = 4, mask: torch.Tensor | None = None) -> Features:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]) if mask is None else mask

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows, length = mask.shape
    q, k, v = (draw(rows, heads, length, size) for _ in range(3))
    return Features(mask, {1: LayerFeatures(draw(rows, length, heads * size), q, k, v)})


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    exps = [math.exp(v - top) for v in values]
    return [e / sum(exps) for e in exps]


def loop_divergence(sx, sy, tx, ty, mask, window=None) -> float:
    """Mean over real rows of the mean over heads of KL(target || student), one number at a time."""
    total, count = 0.0, 0
    rows, heads, length, size = sx.shape
    for b in range(rows):
        for i in range(length):
            if not mask[b, i]:
                continue
            count += 1
            keys = [j for j in range(length) if mask[b, j] and (window is None or abs(i - j) < window)]
            for h in range(heads):
                p = softmax([float(tx[b, h, i] @ ty[b, h, j]) / math.sqrt(size) for j in keys])
                q = softmax([float(sx[b, h, i] @ sy[b, h, j]) / math.sqrt(size) for j in keys])
                total += sum(a * math.log(a / c) for a, c in zip(p, q, strict=True)) / heads
    return total / count


def mean(term):
    return float(term[0] / term[1])


def test_attention_rows_agree_with_a_plain_loop():
    student, teacher = random_features(0), random_features(1)
    s, t = student.layers[1], teacher.layers[1]
    found = mean(AttentionKL()(student, teacher, PAIRS)["attention"])
    assert found == pytest.approx(loop_divergence(s.query, s.key, t.query, t.key, teacher.mask), abs=1e-12)


@pytest.mark.parametrize("heads", [None, 2, 6])
def test_relations_agree_with_a_plain_loop(heads):
    student, teacher = random_features(0), random_features(1, heads=2, size=6)
    terms = Relations(heads)(student, teacher, PAIRS)
    for term, name in (("relation_qq", "query"), ("relation_kk", "key"), ("relation_vv", "value")):
        x, y = (resplit(getattr(f.layers[1], name), heads or 12) for f in (student, teacher))
        assert mean(terms[term]) == pytest.approx(loop_divergence(x, x, y, y, teacher.mask), abs=1e-12)


def test_resplit_concatenates_heads_and_cuts_the_width_evenly():
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    wide = [[float(x[0, h, i, c]) for h in range(2) for c in range(4)] for i in range(3)]
    assert resplit(x, 4)[0, 1, 2].tolist() == wide[2][2:4]


@pytest.mark.parametrize(
    ("student", "teacher", "heads"), [(384, 768, 48), (768, 768, 48), (312, 768, 24), (100, 30, 10), (128, 256, 32)]
)
def test_relation_heads_are_48_or_the_largest_common_divisor(student, teacher, heads):
    assert relation_heads(student, teacher) == heads


def test_a_local_window_excludes_far_keys():
    student, teacher = random_features(0), random_features(1)
    x, y = student.layers[1].query, teacher.layers[1].query
    found = row_divergence(relation_logits(x, x), relation_logits(y, y), teacher.mask, window=2) / teacher.mask.sum()
    assert float(found) == pytest.approx(loop_divergence(x, x, y, y, teacher.mask, window=2), abs=1e-12)


def test_hidden_is_the_mean_squared_difference_over_real_tokens():
    student, teacher = random_features(0), random_features(1)
    real = teacher.mask.bool()
    expected = (student.layers[1].hidden[real] - teacher.layers[1].hidden[real]).square().mean()
    assert mean(Hidden(12, 12)(student, teacher, PAIRS)["hidden"]) == pytest.approx(float(expected), abs=1e-12)


def test_a_width_map_is_learned_only_where_widths_differ():
    assert Hidden(12, 12).width_map is None
    objective = Hidden(12, 8).double()
    assert isinstance(objective.width_map, nn.Linear)
    student, teacher = random_features(0), random_features(1, heads=2)
    objective(student, teacher, PAIRS)["hidden"][0].backward()
    assert objective.width_map.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("objective", [AttentionKL(), Hidden(12, 12), Relations()])
def test_masked_tokens_and_batch_order_do_not_matter(objective):
    student, teacher = random_features(0), random_features(1)
    reference = objective(student, teacher, PAIRS)
    order = torch.tensor([1, 0])
    swapped = objective(student.take(order), teacher.take(order), PAIRS)
    hidden = ~teacher.mask.bool()
    for features in (student, teacher):
        features.layers[1].hidden[hidden] = 1e3
        for x in (features.layers[1].query, features.layers[1].key, features.layers[1].value):
            x.transpose(1, 2)[hidden] = -1e3
    changed = objective(student, teacher, PAIRS)
    for term in objective.terms:
        assert mean(swapped[term]) == pytest.approx(mean(reference[term]), abs=1e-12)
        assert mean(changed[term]) == pytest.approx(mean(reference[term]), abs=1e-12)


@pytest.mark.parametrize("objective", [AttentionKL(), Hidden(12, 12), Relations()])
def test_gradients_equal_finite_differences(objective):
    student, teacher = random_features(0), random_features(1)
    names = [n for n in ("hidden", "query", "key", "value") if n in objective.needs]
    leaves = [getattr(student.layers[1], n).requires_grad_() for n in names]

    def loss(*tensors):
        features = Features(student.mask, {1: LayerFeatures(**dict(zip(names, tensors, strict=True)))})
        return sum(total / count for total, count in objective(features, teacher, PAIRS).values())

    assert torch.autograd.gradcheck(loss, leaves)


def test_counts_are_known_before_the_forward_pass():
    student, teacher = random_features(0), random_features(1)
    for objective in (AttentionKL(), Hidden(12, 12), Relations()):
        counts = objective.counts(teacher.mask)
        assert {k: int(n) for k, n in counts.items()} == dict.fromkeys(objective.terms, 8)
        assert all(objective(student, teacher, PAIRS)[k][1] == n for k, n in counts.items())


def test_unequal_heads_are_refused_where_attention_is_matched():
    class Config:
        def __init__(self, heads):
            self.num_attention_heads, self.hidden_size = heads, 12

    with pytest.raises(CrildError, match="features qkv"):
        AttentionKL().check(Config(2), Config(3))
    Relations().check(Config(2), Config(3))
    with pytest.raises(CrildError, match="does not divide"):
        Relations(5).check(Config(2), Config(3))


def test_logit_distillation_closed_form():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0 * math.log(3.0), 0.0]])
    # at T = 2 the teacher says 3/4, 1/4 and the student 1/2, 1/2
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    total, count = distillation_loss(student, teacher, 2.0)
    assert float(total) == pytest.approx(expected, abs=1e-6)
    assert int(count) == 1
    total, count = distillation_loss(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [2.0]]))
    assert (float(total), int(count)) == (4.0, 2)


def test_task_loss_ignores_rows_without_a_label():
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]])
    total, count = task_loss(logits, torch.tensor([1.0, float("nan")]))
    assert float(total) == pytest.approx(math.log(2))
    assert int(count) == 1
    total, count = task_loss(logits, torch.tensor([float("nan")] * 2))
    assert float(weighted_mean({"task": (total, count)}, {"task": 1.0})) == 0.0
    total, count = task_loss(torch.tensor([[1.5], [0.0]]), torch.tensor([1.0, float("nan")]))
    assert (float(total), int(count)) == (0.25, 1)


@pytest.mark.parametrize(
    ("name", "n", "m", "pairs"),
    [
        ("last", 12, 5, ((5, 12),)),
        ("uniform", 12, 6, ((1, 2), (2, 4), (3, 6), (4, 8), (5, 10), (6, 12))),
        ("uniform", 12, 5, ((1, 3), (2, 5), (3, 8), (4, 10), (5, 12))),
        ("first", 6, 2, ((1, 1), (2, 2))),
        ("1-2,3-6", 6, 3, ((1, 2), (3, 6))),
    ],
)
def test_layer_maps(name, n, m, pairs):
    assert layer_map(name, n, m) == pairs


@pytest.mark.parametrize("name", ["lst", "1-9", "4-1", "1:2"])
def test_senseless_layer_maps_are_refused(name):
    with pytest.raises(CrildError, match="layer map"):
        layer_map(name, 6, 3)
