"""Attention maps: what models they can be matched between."""

import pytest

from crild.errors import CrildError
from crild.objectives import compose
from tests.objectives.situations import check_values, shape, situations_of


@pytest.mark.parametrize("name", situations_of("attention-kl", "attention-mse"))
def test_values_agree_with_slow_loops(name):
    check_values(name)


def test_unequal_heads_are_refused_where_attention_is_matched():
    for features in ("attention-kl", "attention-mse", "head-relations"):
        with pytest.raises(CrildError, match="features qkv"):
            compose(features, "last", shape(heads=2), shape(heads=3))
    compose("relations", "last", shape(heads=2), shape(heads=3))
    with pytest.raises(CrildError, match="does not divide"):
        compose("relations", "last", shape(heads=2), shape(heads=3), 5)
