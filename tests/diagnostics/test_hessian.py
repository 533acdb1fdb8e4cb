"""The largest eigenvalue of a Hessian that is known."""

import numpy as np
import pytest
import torch
from torch import nn

from crild.diagnostics import eager_attention, largest_eigenvalue
from crild.diagnostics.hessian import curved
from tests.architectures import padded_batch, small_model


def quadratic(values, seed=0):
    """Return 1/2 x' A x + b' x as a function of two pieces of x, A with these eigenvalues."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    a = torch.tensor(turn @ np.diag(values) @ turn.T, dtype=torch.float32)
    pieces = [torch.randn(4, requires_grad=True), torch.randn(len(values) - 4, requires_grad=True)]

    def loss():
        x = torch.cat(pieces)
        return 0.5 * x @ a @ x + x.sum()

    return loss, pieces


@pytest.mark.parametrize(
    "values",
    [
        [7.0, 1, 2, 3, -0.5, 0],
        [3.0, -50, 1, 0.5, -2, 2],  # the largest, not the one of the largest size
        list(np.geomspace(0.01, 20, 60)),
        [-1.0, -2, -3, -4, -5, -6],
    ],
)
def test_a_quadratic_has_the_eigenvalue_that_it_was_made_with(values):
    loss, pieces = quadratic(values)
    assert largest_eigenvalue(loss, pieces) == pytest.approx(max(values), rel=0.02)


def test_what_a_loss_does_not_bend_along_has_none():
    one, unused = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    assert largest_eigenvalue(lambda: (2 * one).sum(), [one, unused]) == 0
    assert largest_eigenvalue(lambda: (3 * one**2).sum() / 2, [one, unused]) == pytest.approx(3, rel=0.02)


def test_a_models_loss_is_as_bent_as_its_dense_hessian_says():
    """The head's weights alone: few enough for the whole matrix."""
    model = small_model("bert")
    batch = padded_batch()
    labels = torch.tensor([0, 1, 1, 0, 1])
    head = [model.classifier.weight, model.classifier.bias]

    def loss():
        return nn.functional.cross_entropy(model(**batch).logits, labels)

    with torch.no_grad():
        pooled = model.bert(**batch).pooler_output

    def of_head(flat):
        weight, bias = flat[: head[0].numel()].view_as(head[0]), flat[head[0].numel() :]
        return nn.functional.cross_entropy(pooled @ weight.T + bias, labels)

    flat = torch.cat([x.detach().reshape(-1) for x in head])
    dense = torch.linalg.eigvalsh(torch.autograd.functional.hessian(of_head, flat))
    assert largest_eigenvalue(loss, head, tolerance=1e-3) == pytest.approx(float(dense.max()), rel=0.01)


def test_eager_attention_is_what_can_be_differentiated_twice():
    model = small_model("bert")
    model.config._attn_implementation = "sdpa"
    batch, weights = padded_batch(), curved(model)
    assert {id(p) for p in model.parameters()} - {id(p) for p in weights} == {
        id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding)
    }

    def loss():
        return model(**batch).logits.square().mean()

    plain = float(loss().detach())
    with pytest.raises(RuntimeError, match="derivative"):
        largest_eigenvalue(loss, weights)
    with eager_attention(model):
        assert model.config._attn_implementation == "eager"
        assert float(loss().detach()) == pytest.approx(plain, rel=1e-5)
        first = largest_eigenvalue(loss, weights, seed=1)
        assert first == pytest.approx(largest_eigenvalue(loss, weights, seed=2), rel=0.05)
        assert first > 0
    assert model.config._attn_implementation == "sdpa"
