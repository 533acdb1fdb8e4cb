"""Methods in words."""

import pytest

from crild.describe import stages
from crild.methods import find_method


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cr-ild", "own term, then KD (T = 2)"),
        ("pkd", "own term + 0.7 KD + 0.3 labels (T = 10)"),
        ("ckd", "own term + 0.111 KD (T = 3)"),  # their KD without T^2
        ("alp-kd", "0.2 own term + 0.7 KD + 0.1 labels (T = 20)"),
        ("tinybert", "own term, then KD (T = 1)"),
        ("minilmv2", "own term, then labels"),
        ("mixkd", "own term + labels + mixed labels"),
        ("ted", "filters on labels, then 50 own term + 20 KD + labels (T = 2)"),
    ],
)
def test_paper_schedules(name, expected):
    assert stages(find_method(name), "paper") == expected
