"""Numbers: how labels are read, losses in closed form, metrics."""

import numpy as np
import pytest
import torch

from crild.errors import CrildError
from crild.tasks.registry import TASK_TYPES

TASK = TASK_TYPES["regression"]


def test_labels_are_numbers():
    assert TASK.read(["1", "2.5", "", None], "x").values == [1.0, 2.5, None, None]
    with pytest.raises(CrildError, match="'high' is not a number"):
        TASK.read(["1", "high"], "x")


def test_correlations():
    x = np.array([1.0, 2.0, 3.0, 10.0])
    assert TASK.find_metric("spearman", 1)(x, x**3) == pytest.approx(1.0)
    assert TASK.find_metric("pearson", 1)(x, -x) == pytest.approx(-1.0)
    assert TASK.find_metric("pearson_spearman", 1)(x, TASK.constant(x)) == 0.0
    assert set(TASK.all_scores(x, x[:, None])) == set(TASK.metrics)


def test_answers_are_the_output():
    assert TASK.answers(np.array([[0.5], [1.5]])).tolist() == [0.5, 1.5]
    assert TASK.probabilities(np.array([[0.5]])) is None


def test_losses_are_squared_errors():
    logits = torch.tensor([[1.0], [2.0], [9.0]])
    total, count = TASK.loss(logits, torch.tensor([0.0, 4.0, float("nan")]))
    assert (float(total), int(count)) == (5.0, 2)
    total, count = TASK.distillation(logits, torch.tensor([[1.0], [2.0], [7.0]]), 2.0)
    assert (float(total), int(count)) == (4.0, 3)
