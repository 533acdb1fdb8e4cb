"""The bootstrap, and scores class by class."""

import tracemalloc

import numpy as np
import pytest

from crild.metrics import accuracy, bootstrap_interval, class_scores, confusion, paired_interval


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


def test_a_paired_interval_is_that_of_the_rows_differences():
    """The difference of two accuracies is a mean over rows, whose interval is known."""
    rng = np.random.default_rng(2)
    truth = np.zeros(2000)
    other = (rng.random(2000) < 0.3).astype(float)
    output = np.where(rng.random(2000) < 0.1, 1 - other, other)  # they mostly err on the same rows
    differences = (output == 0).astype(float) - (other == 0)
    half = 1.96 * differences.std() / 2000**0.5
    low, high = paired_interval(accuracy, truth, output, other)
    assert low == pytest.approx(differences.mean() - half, abs=0.003)
    assert high == pytest.approx(differences.mean() + half, abs=0.003)
    apart = bootstrap_interval(accuracy, truth, output)
    assert high - low < apart[1] - apart[0]
    assert paired_interval(accuracy, truth, output, output) == (0.0, 0.0)


def test_class_scores_and_confusion_by_hand():
    truth, output = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    assert confusion(truth, output, 4) == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    first, _, third, absent = class_scores(truth, output, ["a", "b", "c", "d"])
    assert first == {
        "label": "a",
        "precision": 0.5,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(4 / 7),
        "rows": 3,
    }
    assert third == {"label": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "rows": 1}
    assert absent["rows"] == 0
    several = class_scores(np.array([[1, 0], [1, 1]]), np.array([[1, 1], [0, 1]]), ["a", "b"])
    assert [(each["precision"], each["recall"]) for each in several] == [(1.0, 0.5), (0.5, 1.0)]
