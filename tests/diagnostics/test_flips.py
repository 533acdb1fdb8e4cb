"""To which label answers to corrupted rows go."""

import numpy as np

from crild.diagnostics import memorised_flips
from crild.tasks.registry import TASK_TYPES


def test_classes():
    wrong, right = np.array([1.0, 1, 1, 2, 0]), np.array([0.0, 0, 2, 1, 1])
    found = memorised_flips(TASK_TYPES["classification"], np.array([1, 1, 2, 0, 0]), wrong, right)
    assert {name: round(share, 6) for name, share in found.items()} == {"wrong": 0.6, "right": 0.2, "neither": 0.2}


def test_numbers_and_lists_go_to_the_nearer_one():
    found = memorised_flips(
        TASK_TYPES["regression"], np.array([4.4, 1.0, 3.0]), np.array([5.0] * 3), np.array([1.0] * 3)
    )
    assert (found["wrong"], found["right"]) == (1 / 3, 1 / 3)
    found = memorised_flips(
        TASK_TYPES["multi-label"],
        np.array([[1, 1, 0], [0, 0, 1]]),
        np.array([[1.0, 1, 1], [1, 1, 0]]),
        np.array([[0.0, 0, 1], [0, 0, 0]]),
    )
    assert (found["wrong"], found["right"]) == (0.5, 0.5)
