"""The width map that an objective learns where widths differ."""

import pytest
from torch import nn

from crild.objectives import compose
from tests.objectives.situations import WIDE, Situation, shape


@pytest.mark.parametrize("features", ["hidden", "embeddings", "pkd", "alp-kd"])
def test_a_width_map_is_learned_only_where_widths_differ(features):
    layer_map = "all" if features == "alp-kd" else "last"
    assert not list(compose(features, layer_map, shape(), shape()).parameters())
    objective, student, teacher = Situation(features, layer_map, **WIDE).make()
    linear = objective.parts[0].width_map
    assert isinstance(linear, nn.Linear)
    assert linear.weight.shape == (18, 12)
    objective(student, teacher)[objective.terms[0]][0].backward()
    assert linear.weight.grad.abs().sum() > 0


def test_one_map_serves_all_layers_and_transport_learns_it_too():
    objective, student, teacher = Situation("hidden", "emd", **WIDE).make()
    assert [tuple(p.shape) for p in objective.parameters()] == [(18, 12), (18,)]
    objective(student, teacher)["hidden"][0].backward()
    assert all(p.grad.abs().sum() > 0 for p in objective.parameters())
