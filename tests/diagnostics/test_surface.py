"""Loss surfaces, against plain numbers."""

import pytest
import torch
from torch import nn

from crild.diagnostics import filter_normalised, loss_surface
from crild.diagnostics.surface import LINE, PLANE, grid, square
from crild.diagnostics.weights import standard_normal
from tests.oracles import slow_filters


def squares(model):
    return {"loss": sum(x.detach().square().sum() for x in model.parameters())}


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2), nn.LayerNorm(2))
    with torch.no_grad():
        made[0].weight[0] = 0  # as the padding token's
        made[1].weight[1] *= 100
    return made


def test_filters_are_as_long_as_the_models_own_and_vectors_do_not_move(model):
    one, two = filter_normalised(model, 2, seed=4)
    again = filter_normalised(model, 1, seed=4)[0]
    for number, direction in enumerate((one, two)):
        drawn = standard_normal(list(model.parameters()), 4, number)
        for weight, ours, z in zip(model.parameters(), direction, drawn, strict=True):
            if weight.dim() == 1:
                assert not ours.any()
                continue
            for x, y in zip(ours.tolist(), slow_filters(weight.tolist(), z.tolist()), strict=True):
                assert x == pytest.approx(y, rel=1e-5, abs=1e-7)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], two[0])


def test_the_centre_is_the_loss_itself_and_other_points_are_where_they_say(model):
    directions = filter_normalised(model, 2, seed=1)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    own = float(squares(model)["loss"])
    points = [(0.0, 0.0), (0.5, -0.25), (0.0, 0.0), (-1.0, 0.0)]
    found = loss_surface(model, squares, directions, points)["loss"]
    assert found[0] == found[2] == own
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    for place, (a, b) in enumerate(points):
        moved = [w.detach() + a * d + b * e for w, d, e in zip(model.parameters(), *directions, strict=True)]
        assert found[place] == pytest.approx(float(sum(x.square().sum() for x in moved)), rel=1e-5)
    line = loss_surface(model, squares, directions[:1], [(0.0,), (-1.0,)])["loss"]
    assert line == [own, found[3]]


def test_the_plane_has_the_first_direction_in_its_lines(model):
    assert 0.0 in LINE
    assert 0.0 in PLANE
    found = square([10 * a + b for a, b in grid(PLANE)])
    for i, a in enumerate(PLANE):
        assert found[i] == pytest.approx([10 * a + b for b in PLANE])
