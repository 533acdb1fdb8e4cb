"""Classes: how labels are read, losses in closed form, metrics."""

import math

import numpy as np
import pytest
import torch

from crild.errors import CrildError
from crild.tasks.registry import TASK_TYPES

TASK = TASK_TYPES["classification"]
TRUTH = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
ANSWERS = np.array([1.0, 0.0, 0.0, 1.0, 1.0])


def test_labels_are_in_the_order_of_numbers_or_of_the_alphabet():
    assert TASK.read(["b", "", None, "a"], "x").values == [1.0, None, None, 0.0]
    assert TASK.read([10, 9, 1], "x").names == ["1", "9", "10"]
    assert TASK.read([True, False], "x").names == ["false", "true"]
    assert TASK.read(["0", "1"], "x", ["no", "yes"], coded=True).names == ["no", "yes"]
    with pytest.raises(CrildError, match="unknown label 'maybe'; known are no, yes"):
        TASK.read(["no", "maybe"], "x", ["no", "yes"])
    with pytest.raises(CrildError, match="is it the label column"):
        TASK.read([f"text {i}" for i in range(100)], "x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 3 / 5),
        ("f1", 2 / 3),
        ("accuracy_f1", (3 / 5 + 2 / 3) / 2),
        ("macro_f1", (2 / 3 + 1 / 2) / 2),
        ("matthews", 1 / 6),
    ],
)
def test_metrics_in_closed_form(name, value):
    assert TASK.find_metric(name, 2)(TRUTH, ANSWERS) == pytest.approx(value)


def test_f1_is_about_the_positive_class():
    flipped = TASK.find_metric("f1", 2, positive=0)
    assert flipped(TRUTH, ANSWERS) == pytest.approx(1 / 2)
    assert TASK.find_metric("f1", 2)(1 - TRUTH, 1 - ANSWERS) == flipped(TRUTH, ANSWERS)


def test_metrics_that_do_not_fit_are_refused():
    with pytest.raises(CrildError, match="use macro_f1"):
        TASK.find_metric("f1", 3)
    with pytest.raises(CrildError, match="no metric 'pearson' for classification"):
        TASK.find_metric("pearson", 2)
    assert set(TASK.all_scores(TRUTH, np.eye(3)[[0, 1, 2, 0, 1]])) == {"accuracy", "macro_f1", "matthews"}


def test_answers_are_the_likeliest_class_and_probabilities_a_softmax():
    logits = np.array([[0.1, 0.9], [2.0, 1.0]])
    assert TASK.answers(logits).tolist() == [1, 0]
    assert TASK.probabilities(logits)[1] == pytest.approx([math.e / (1 + math.e), 1 / (1 + math.e)])
    assert TASK.spelled([1, None, 0.0], ["no", "yes"]) == ["yes", None, "no"]


def test_whoever_always_says_the_same_says_the_most_frequent():
    assert TASK.constant(TRUTH).tolist() == [1.0] * 5
    assert TASK.find_metric("accuracy", 2)(TRUTH, TASK.constant(TRUTH)) == pytest.approx(3 / 5)


def test_the_loss_counts_labelled_rows_alone():
    logits = torch.tensor([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    total, count = TASK.loss(logits, torch.tensor([0.0, 1.0, float("nan")]))
    assert int(count) == 2
    assert float(total) == pytest.approx(math.log(2) + math.log(1 + math.e))


def test_distillation_is_a_divergence_at_a_temperature():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    p = 1 / (1 + math.exp(-1.0))
    expected = 4 * (p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p)))
    total, count = TASK.distillation(student, teacher, 2.0)
    assert (float(total), int(count)) == (pytest.approx(expected, rel=1e-5), 1)
    assert float(TASK.distillation(teacher, teacher, 2.0)[0]) == 0.0


def test_one_class_teaches_nothing():
    with pytest.raises(CrildError, match="every training row has the label 'yes'"):
        TASK.refuse_untrainable([1.0, None, 1.0], ["no", "yes"], "data.csv")
