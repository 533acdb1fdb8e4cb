"""Linear probes, planted: what is in a layer, what is not, and what is not linear."""

import numpy as np
import pytest

from crild.diagnostics import layer_probes
from crild.diagnostics.probes import PROBES
from crild.metrics import accuracy, pearson
from crild.tasks import TASK_NAMES

RNG = np.random.default_rng(0)
N = 400
X = RNG.normal(size=(2 * N, 6))


def split(x):
    return x[:N], x[N:]


def test_a_class_that_can_be_told_linearly_is_found_where_it_is():
    labels = (X[:, 0] > 0).astype(float)
    without = X[:, 1:]
    layers = [split(without), split(X * 1000), split(np.abs(X)), split(np.c_[without, X[:, :1] * 1e-3])]
    found = layer_probes(layers, split(labels), "classification", accuracy)
    assert found["held_out"][1] > 0.95
    assert found["held_out"][3] == pytest.approx(found["held_out"][1], abs=0.02)  # whatever its size
    assert max(found["held_out"][0], found["held_out"][2]) < 0.6
    assert len(found["train"]) == 4


def test_numbers_and_several_labels_a_row():
    truth = X @ np.arange(6) + 3
    found = layer_probes([split(X)], split(truth), "regression", pearson)
    assert min(*found["train"], *found["held_out"]) > 0.99
    several = np.c_[X[:, 0] > 0, X[:, 1] > 0.5, np.zeros(2 * N)].astype(float)  # the last one on no row
    found = layer_probes([split(X)], split(several), "multi-label", accuracy)
    assert found["held_out"][0] > 0.95
    assert set(PROBES) == set(TASK_NAMES)
