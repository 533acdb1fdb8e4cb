"""What an export costs and saves."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crild.serving.proof import compare, cost, weights_of
from crild.serving.rows import ScoredRows
from crild.serving.timing import Times
from crild.tasks.registry import TASK_TYPES

CLASSES = TASK_TYPES["classification"]


def test_answers_are_compared_row_by_row():
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    others = np.array([[2.0, 0.5], [0.0, 1.0], [1.5, 1.0], [1.0, 0.0]])
    rows = ScoredRows(None, np.array([0, 1, 1, 1]), CLASSES.find_metric("accuracy", 2), "accuracy")
    found = compare(CLASSES, rows, logits, others)
    assert (found.before, found.after, found.agreement, found.largest) == (0.75, 0.5, 0.75, 1.5)
    assert found.rms == pytest.approx(np.sqrt((0.25 + 2.25) / 8))
    assert found.lost == pytest.approx(0.25)
    # One of four rows is lost: a binomial of 1/4, over sqrt(4); drawn scores are quarters.
    assert found.error == pytest.approx(np.sqrt(0.25 * 0.75 / 4), abs=0.05)
    assert found.surely_lost == pytest.approx(0.25 - found.error)
    assert compare(CLASSES, rows, logits, logits).error == 0


def test_a_logit_that_is_no_number_is_the_largest_difference():
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    rows = ScoredRows(None, np.array([0, 1]), CLASSES.find_metric("accuracy", 2), "accuracy")
    assert np.isnan(compare(CLASSES, rows, logits, logits * np.nan).largest)


def test_costs_are_milliseconds_of_a_row_and_rows_a_second():
    found = cost(1000, 0.5, Times(0.001, 0.003), Times(0.032, 0.064))
    assert found.latency_ms == {"short": 1.0, "long": 3.0}
    assert found.throughput == {"short": 1000.0, "long": 500.0}
    assert (found.bytes, found.score) == (1000, 0.5)


def test_the_bytes_of_a_model_are_those_of_its_files_or_in_fp32(pieces):
    size = (pieces / "model.safetensors").stat().st_size
    assert weights_of(SimpleNamespace(path=str(pieces))) == size
    assert weights_of(SimpleNamespace(path="owner/on-the-hub", model=torch.nn.Linear(4, 3))) == 4 * 15


def test_every_model_of_a_proof_was_timed(in_fp32):
    for each in in_fp32.found.models.values():
        assert all(value > 0 for value in (*each.latency_ms.values(), *each.throughput.values()))
    before, served = (in_fp32.found.models[name] for name in ("before", "served"))
    means = [sum(each.latency_ms.values()) for each in (before, served)]
    assert in_fp32.found.speedup_batch1 == pytest.approx(means[0] / means[1])
