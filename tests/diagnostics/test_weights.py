"""Weights that are changed for a while."""

import pytest
import torch
from torch import nn

from crild.diagnostics.weights import standard_normal, unchanged


class Odd(nn.Module):
    """A shared matrix, a buffer, a frozen vector with a NaN and a negative zero, and a gradient that was there."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.two = nn.Linear(3, 3)
        self.two.weight = self.one.weight
        self.norm = nn.BatchNorm1d(3)
        self.frozen = nn.Parameter(torch.tensor([float("nan"), -0.0, 1e-42]), requires_grad=False)
        self.dropout = nn.Dropout()
        self.one.bias.grad = torch.ones(3)


def bits(model):
    return {name: x.numpy().tobytes() for name, x in model.state_dict().items()}


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_restored_bit_for_bit_also_after_an_error(fails):
    model = Odd()
    model.norm.eval()
    before, modes = bits(model), [module.training for module in model.modules()]
    gradient = model.one.bias.grad
    try:
        with unchanged(model) as weights, torch.no_grad():
            assert not any(module.training for module in model.modules())
            assert len(weights) == len(list(model.parameters())) == 6
            for parameter, _ in weights:
                parameter.add_(1.0)
                parameter.requires_grad_(True)
                parameter.grad = torch.zeros_like(parameter)
            model.norm.running_mean += 1
            assert bits(model) != before
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert bits(model) == before
    assert [module.training for module in model.modules()] == modes
    assert not model.frozen.requires_grad
    assert model.one.bias.grad is gradient
    assert model.one.weight.grad is None


def test_draws_are_a_function_of_their_seed_and_of_nothing_else():
    shapes = [torch.zeros(4, 5), torch.zeros(7, dtype=torch.float64)]
    state = torch.get_rng_state()
    first = standard_normal(shapes, 1, 2)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    again, other = standard_normal(shapes, 1, 2), standard_normal(shapes, 1, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert [x.dtype for x in first] == [torch.float32, torch.float64]
