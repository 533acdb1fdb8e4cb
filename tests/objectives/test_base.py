"""The width map that an objective learns where widths differ."""

import pytest
import torch
from torch import nn

from crild.objectives import OBJECTIVES, compose
from tests.objectives.situations import WIDE, Situation, draw, shape


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


@pytest.mark.parametrize("features", OBJECTIVES)
def test_a_width_map_can_be_asked_for_where_widths_are_equal(features):
    layer_map, width = "all" if features == "alp-kd" else "uniform", shape().width
    torch.manual_seed(0)
    objective, _, teacher = Situation(features, layer_map, width_map=True).make()
    plain = Situation(features, layer_map).make()[0]
    maps = {name: tuple(p.shape) for name, p in objective.named_parameters() if "width_map" in name}
    assert bool(maps) == objective.parts[0].maps_width
    if not maps:
        assert objective.state_dict().keys() == plain.state_dict().keys()
        return
    assert maps == {"parts.0.width_map.weight": (width, width), "parts.0.width_map.bias": (width,)}
    drawn = [Situation(features, layer_map, width_map=True).make()[0].parts[0].width_map.weight for _ in range(2)]
    assert torch.equal(*drawn)  # a function of the seed
    student = draw(1, shape(), (5, 3, 4))
    before = {k: float(x) for k, (x, _) in plain(student, teacher).items()}
    assert {k: float(x.detach()) for k, (x, _) in objective(student, teacher).items()} != pytest.approx(
        before, rel=1e-3
    )
    linear = objective.parts[0].width_map
    with torch.no_grad():
        linear.weight.copy_(torch.eye(width))
        linear.bias.zero_()
    assert {k: float(x.detach()) for k, (x, _) in objective(student, teacher).items()} == pytest.approx(before)
    # the consistency term compares the student with itself, in its own width
    clean = draw(3, shape(), (5, 3, 4))
    with torch.no_grad():
        linear.weight.fill_(7.0)
    for term, (total, _) in objective.consistency(student, clean).items():
        assert float(total) == pytest.approx(float(plain.consistency(student, clean)[term][0]))


def test_one_map_serves_all_layers_and_transport_learns_it_too():
    objective, student, teacher = Situation("hidden", "emd", **WIDE).make()
    assert [tuple(p.shape) for p in objective.parameters()] == [(18, 12), (18,)]
    objective(student, teacher)["hidden"][0].backward()
    assert all(p.grad.abs().sum() > 0 for p in objective.parameters())
