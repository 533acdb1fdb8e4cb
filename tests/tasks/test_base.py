"""The losses of task types, against loops."""

import math

import pytest
import torch

from crild.objectives import weighted_mean
from crild.tasks.registry import TASK_TYPES
from tests.oracles import average, cross_entropy, divergence, mean, mixed_classes, softmax


def task_of(logits):
    return TASK_TYPES["regression" if logits.shape[-1] == 1 else "classification"]


def task_loss(logits, labels):
    return task_of(logits).loss(logits, labels)


def distillation_loss(student, teacher, temperature=2.0):
    return task_of(student).distillation(student, teacher, temperature)


def mixed_task_loss(logits, labels, lam, partners):
    return task_of(logits).mixed_loss(logits, labels, lam, partners)


def random_logits(seed, rows=4, classes=3):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 10.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_logit_distillation_agrees_with_a_loop(classes, temperature):
    student, teacher = random_logits(0, classes=classes), random_logits(1, classes=classes)
    expected = [
        temperature**2 * divergence([z / temperature for z in t], [z / temperature for z in s])
        for s, t in zip(student.tolist(), teacher.tolist(), strict=True)
    ]
    found = distillation_loss(student, teacher, temperature)
    assert mean(found) == pytest.approx(average(expected), rel=1e-10)
    assert int(found[1]) == 4
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: distillation_loss(x, teacher, temperature)[0], student)
    assert float(distillation_loss(teacher, teacher, temperature)[0]) == pytest.approx(0.0, abs=1e-12)


def test_logit_distillation_closed_form():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0 * math.log(3.0), 0.0]])
    # at T = 2 the teacher says 3/4, 1/4 and the student 1/2, 1/2
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    total, count = distillation_loss(student, teacher, 2.0)
    assert float(total) == pytest.approx(expected, abs=1e-6)
    assert int(count) == 1
    total, count = distillation_loss(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [2.0]]))
    assert (float(total), int(count)) == (4.0, 2)


def test_classification_agrees_with_a_loop_over_the_labelled():
    logits, missing = random_logits(0), float("nan")
    for labels in ([0, 2, 1, 1], [missing, 2, missing, 0]):
        known = [(z, y) for z, y in zip(logits.tolist(), labels, strict=True) if not math.isnan(y)]
        found = task_loss(logits, torch.tensor(labels, dtype=torch.float32))
        assert mean(found) == pytest.approx(average(cross_entropy(z, y) for z, y in known), rel=1e-10)
        assert int(found[1]) == len(known)


def test_regression_agrees_with_a_loop_over_the_labelled():
    logits, missing = random_logits(0, classes=1), float("nan")
    for labels in ([0.5, -2.0, 1.25, 4.0], [missing, 2.0, missing, 0.0]):
        known = [(z, y) for (z,), y in zip(logits.tolist(), labels, strict=True) if not math.isnan(y)]
        found = task_loss(logits, torch.tensor(labels))
        assert mean(found) == pytest.approx(average((z - y) ** 2 for z, y in known), rel=1e-10)
        assert int(found[1]) == len(known)


def test_task_loss_ignores_rows_without_a_label():
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]])
    total, count = task_loss(logits, torch.tensor([1.0, float("nan")]))
    assert float(total) == pytest.approx(math.log(2))
    assert int(count) == 1
    total, count = task_loss(logits, torch.tensor([float("nan")] * 2))
    assert float(weighted_mean({"task": (total, count)}, {"task": 1.0})) == 0.0
    total, count = task_loss(torch.tensor([[1.5], [0.0]]), torch.tensor([1.0, float("nan")]))
    assert (float(total), int(count)) == (0.25, 1)


@pytest.mark.parametrize("classes", [3, 1])
def test_rows_without_a_label_get_no_gradient(classes):
    logits = random_logits(0, classes=classes).requires_grad_()
    labels = torch.tensor([1.0, float("nan"), 0.0, float("nan")])
    task_loss(logits, labels)[0].backward()
    assert logits.grad.isfinite().all()
    assert [bool(row.any()) for row in logits.grad] == [True, False, True, False]
    logits.grad = None
    # rows 1 and 3 are each other's partners: neither share has a label
    mixed_task_loss(logits, labels, 0.8, torch.tensor([2, 3, 0, 1]))[0].backward()
    assert logits.grad.isfinite().all()
    assert [bool(row.any()) for row in logits.grad] == [True, False, True, False]


@pytest.mark.parametrize("labels", [[0, 2, 1, 1, 2], [0, float("nan"), 1, 2, 2], [float("nan")] * 4 + [1]])
@pytest.mark.parametrize("partners", [[1, 0, 3, 4, 2], [1, 0, 3, 2, 4]])
def test_mixed_classification_agrees_with_a_loop_over_shares(labels, partners):
    logits, lam = random_logits(2, rows=5), 0.7
    total, count = mixed_task_loss(logits, torch.tensor(labels, dtype=torch.float32), lam, torch.tensor(partners))
    expected, weight = mixed_classes(logits, labels, partners, lam)
    assert float(total) == pytest.approx(expected, rel=1e-10)
    assert float(count) == pytest.approx(weight)  # the shares of a row add up to one over its two appearances


def test_mixed_classification_equals_cross_entropy_with_interpolated_label_vectors():
    logits, lam, labels, partners = random_logits(3, rows=3), 0.6, [0, 2, 1], [1, 2, 0]
    expected = 0.0
    for i, z in enumerate(logits.tolist()):
        soft = [lam * (c == labels[i]) + (1 - lam) * (c == labels[partners[i]]) for c in range(3)]
        expected -= sum(p * math.log(q) for p, q in zip(soft, softmax(z), strict=True))
    total, count = mixed_task_loss(logits, torch.tensor(labels, dtype=torch.float32), lam, torch.tensor(partners))
    assert (float(total), int(count)) == (pytest.approx(expected, rel=1e-10), 3)


def test_mixed_regression_has_the_gradient_of_the_interpolated_number():
    lam, labels, partners = 0.6, [0.5, 2.0, -1.0], [1, 2, 0]
    logits = random_logits(3, rows=3, classes=1).requires_grad_()
    total, count = mixed_task_loss(logits, torch.tensor(labels, dtype=torch.float64), lam, torch.tensor(partners))
    total.backward()
    assert int(count) == 3
    for i, partner in enumerate(partners):
        mixed = lam * labels[i] + (1 - lam) * labels[partner]
        assert float(logits.grad[i]) == pytest.approx(2 * (float(logits[i].detach()) - mixed), rel=1e-10)


def test_mixed_regression_learns_from_the_one_share_that_has_a_label():
    logits, labels = torch.tensor([[1.5], [0.0]]), torch.tensor([1.0, float("nan")])
    total, _ = mixed_task_loss(logits, labels, 0.75, torch.tensor([1, 0]))
    assert float(total) == pytest.approx(0.75 * (1.5 - 1.0) ** 2 + 0.25 * (0.0 - 1.0) ** 2)
