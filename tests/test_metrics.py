"""The bootstrap, and scores class by class."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from crild.metrics import accuracy, bootstrap_interval, per_class


def test_interval_covers_the_binomial_one():
    rng = np.random.default_rng(1)
    truth, output = np.zeros(1000), (rng.random(1000) < 0.2).astype(float)
    low, high = bootstrap_interval(accuracy, truth, output)
    score = float(np.mean(output == 0))
    half = 1.96 * (score * (1 - score) / 1000) ** 0.5
    assert low == pytest.approx(score - half, abs=0.006)
    assert high == pytest.approx(score + half, abs=0.006)


def test_the_interval_of_many_rows_needs_little_memory():
    truth = np.zeros(200_000)
    tracemalloc.start()
    bootstrap_interval(accuracy, truth, truth, resamples=40)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * truth.nbytes  # all resamples at once would take 40 times as much and more


@pytest.mark.parametrize("several", [False, True])
def test_classes_fare_as_scikit_learn_says(several):
    rng = np.random.default_rng(2)
    shape = (60, 4) if several else 60
    truth, output = rng.integers(0, 2 if several else 3, shape), rng.integers(0, 2 if several else 4, shape)
    found = per_class(truth.astype(float), output, 4)  # without `several` no row has the last class
    expected = precision_recall_fscore_support(truth, output, labels=range(4), zero_division=0)
    assert [[each.precision, each.recall, each.f1, each.rows] for each in found] == pytest.approx(np.array(expected).T)
