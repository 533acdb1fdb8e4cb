"""Noise on the weights, against plain numbers."""

import pytest
import torch
from torch import nn

from crild.diagnostics import noise_robustness
from crild.diagnostics.weights import standard_normal
from tests.oracles import slow_noisy

SCALES = (0.1, 0.5)


def flat(model):
    return [x.reshape(-1).tolist() for x in model.parameters()]


def test_each_tensor_is_shaken_by_its_own_size_and_a_draw_serves_all_scales():
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    with torch.no_grad():
        model[0].weight.mul_(100)
    before, seen = flat(model), []
    noise_robustness(model, lambda m: seen.append(flat(m)) or {}, SCALES, 2, seed=7)
    assert flat(model) == before
    wanted = [before]
    for draw in range(2):
        drawn = [z.reshape(-1).tolist() for z in standard_normal(list(model.parameters()), 7, draw)]
        wanted += [
            [slow_noisy(w, z, scale) for w, z in zip(before, drawn, strict=True)] for scale in SCALES
        ]  # fmt: skip
    assert len(seen) == len(wanted) == 5
    for ours, theirs in zip(seen, wanted, strict=True):
        for x, y in zip(ours, theirs, strict=True):
            assert x == pytest.approx(y, rel=1e-5, abs=1e-6)


def test_the_curve_is_mean_and_band_over_the_draws():
    model = nn.Linear(1, 1, bias=False)
    values = iter([5.0, 1.0, 2.0, 3.0, 8.0, 5.0, 5.0])
    found = noise_robustness(model, lambda m: {"loss": next(values)}, SCALES, 3)
    assert found == {
        "scales": [0.0, 0.1, 0.5],
        "loss": {
            "mean": [5.0, 3.0, 5.0],
            "low": [5.0, 1.0, 2.0],
            "high": [5.0, 5.0, 8.0],
            "draws": [[5.0, 1.0, 2.0], [5.0, 3.0, 8.0], [5.0, 5.0, 5.0]],
        },
    }


def test_two_models_of_one_shape_see_the_same_noise():
    one, two = nn.Linear(4, 4), nn.Linear(4, 4)
    two.load_state_dict(one.state_dict())
    curves = [noise_robustness(m, lambda m: {"w": float(m.weight[0, 0])}, SCALES, 2, seed=3) for m in (one, two)]
    assert curves[0] == curves[1]
    assert curves[0] != noise_robustness(one, lambda m: {"w": float(m.weight[0, 0])}, SCALES, 2, seed=4)
