"""Metrics in closed form, and the bootstrap."""

import numpy as np
import pytest

from crild.errors import CrildError
from crild.metrics import METRICS, all_scores, bootstrap_interval, find_metric, to_output

TRUTH = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
OUTPUT = np.array([1.0, 0.0, 0.0, 1.0, 1.0])


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
def test_classification_closed_forms(name, value):
    assert find_metric(name, "classification", 2)(TRUTH, OUTPUT) == pytest.approx(value)


def test_f1_is_about_the_positive_class():
    flipped = find_metric("f1", "classification", 2, positive=0)
    assert flipped(TRUTH, OUTPUT) == pytest.approx(1 / 2)
    assert find_metric("f1", "classification", 2)(1 - TRUTH, 1 - OUTPUT) == flipped(TRUTH, OUTPUT)


def test_correlations():
    x = np.array([1.0, 2.0, 3.0, 10.0])
    assert find_metric("spearman", "regression", 1)(x, x**3) == pytest.approx(1.0)
    assert find_metric("pearson", "regression", 1)(x, -x) == pytest.approx(-1.0)
    assert find_metric("pearson_spearman", "regression", 1)(x, np.ones(4)) == 0.0


def test_metrics_that_do_not_fit_are_refused():
    with pytest.raises(CrildError, match="use macro_f1"):
        find_metric("f1", "classification", 3)
    assert set(all_scores(TRUTH, np.eye(3)[[0, 1, 2, 0, 1]])) == {"accuracy", "macro_f1", "matthews"}
    assert set(all_scores(TRUTH, OUTPUT[:, None])) == set(METRICS["regression"])


def test_outputs_are_classes_or_numbers():
    assert to_output(np.array([[0.1, 0.9], [2.0, 1.0]])).tolist() == [1, 0]
    assert to_output(np.array([[0.5], [1.5]])).tolist() == [0.5, 1.5]


def test_interval_covers_the_binomial_one():
    rng = np.random.default_rng(1)
    truth, output = np.zeros(1000), (rng.random(1000) < 0.2).astype(float)
    low, high = bootstrap_interval(METRICS["classification"]["accuracy"], truth, output)
    score = float(np.mean(output == 0))
    half = 1.96 * (score * (1 - score) / 1000) ** 0.5
    assert low == pytest.approx(score - half, abs=0.006)
    assert high == pytest.approx(score + half, abs=0.006)
