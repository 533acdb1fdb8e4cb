"""Logits as features, against loops."""

import pytest

from tests.objectives.situations import check_values, situations_of


@pytest.mark.parametrize("name", situations_of("logits"))
def test_values_agree_with_slow_loops(name):
    check_values(name)
