"""The bootstrap."""

import tracemalloc

import numpy as np
import pytest

from crild.metrics import accuracy, bootstrap_interval


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
