"""Relations: how heads are cut, local windows, what is refused."""

import pytest

from crild.errors import CrildError
from crild.objectives import compose
from tests.objectives.situations import GROUPED, Situation, check_values, shape, situations_of
from tests.oracles import mean


@pytest.mark.parametrize("name", situations_of("relations", "value-relation"))
def test_values_agree_with_slow_loops(name):
    check_values(name)


def test_a_relation_excludes_keys_outside_either_models_window():
    wide, narrow = ({3: 3}, {5: 2}), ({3: 2}, {5: 2})
    found = [mean(Situation("relations", "last", windows=w).terms()["relation_vv"]) for w in (wide, narrow)]
    assert found[0] == pytest.approx(found[1])


def test_unequal_value_heads_are_refused_by_the_value_relation():
    with pytest.raises(CrildError, match="value"):
        compose("value-relation", "last", shape(heads=6, groups=2), shape(heads=6, groups=3))
    compose("value-relation", "last", shape(heads=6, groups=3), shape(heads=3))


def test_relation_heads_have_to_divide_the_narrower_keys_too():
    with pytest.raises(CrildError, match="does not divide"):  # 12 divides 12 and 24, but keys are 4 and 12 wide
        compose("relations", "last", **GROUPED, relation_heads=12)
