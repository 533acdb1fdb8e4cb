"""Rows of relations: how heads are cut."""

import pytest
import torch

from crild.objectives.relations import relation_heads, resplit


def test_resplit_concatenates_heads_and_cuts_the_width_evenly():
    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    wide = [[float(x[0, h, i, c]) for h in range(2) for c in range(4)] for i in range(3)]
    assert resplit(x, 4)[0, 1, 2].tolist() == wide[2][2:4]


@pytest.mark.parametrize(
    ("student", "teacher", "heads"), [(384, 768, 48), (768, 768, 48), (312, 768, 24), (100, 30, 10), (128, 256, 32)]
)
def test_relation_heads_are_48_or_the_largest_common_divisor(student, teacher, heads):
    assert relation_heads(student, teacher) == heads
