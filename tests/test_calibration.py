"""Calibration: a planted temperature is found, and the error of confidences whose truth is known."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from crild.calibration import expected_calibration_error, fit_temperature


def drawn_labels(logits, rng):
    """Labels that are drawn from these logits: nothing is calibrated better."""
    return (softmax(logits, axis=-1).cumsum(-1) < rng.random((len(logits), 1))).sum(-1)


@pytest.mark.parametrize("planted", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found(planted):
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, (20_000, 4))
    labels = drawn_labels(true, rng)
    assert fit_temperature(true * planted, labels) == pytest.approx(planted, rel=0.03)
    several = (rng.random(true.shape) < expit(true)).astype(float)  # a label for each class
    assert fit_temperature(true * planted, several) == pytest.approx(planted, rel=0.03)


def test_a_temperature_stays_within_bounds_where_every_row_is_right_or_wrong():
    logits = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(0.1, rel=1e-3)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(10, rel=1e-3)


def test_the_error_of_drawn_labels_is_small_and_of_overconfident_ones_by_hand():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (50_000, 3))
    correct = logits.argmax(-1) == drawn_labels(logits, rng)
    assert expected_calibration_error(softmax(logits, axis=-1).max(-1), correct) < 0.01
    assert expected_calibration_error(softmax(3 * logits, axis=-1).max(-1), correct) > 0.1
    # bins of a tenth: two rows at 0.95 of which one is right, one at 0.55 that is wrong, one that is sure and right
    confidence, right = np.array([0.95, 0.95, 0.55, 1.0]), np.array([True, False, False, True])
    expected = abs((1 - 0.95) + (0 - 0.95) + (1 - 1.0)) / 4 + 0.55 / 4  # 1.0 is in the last bin too
    assert expected_calibration_error(confidence, right, bins=10) == pytest.approx(expected)
