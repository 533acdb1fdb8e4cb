"""Linear CKA: its value by its definition, and what it does not see."""

import numpy as np
import pytest
import torch

from crild.diagnostics import cka, linear_cka
from tests.architectures import padded_batch, small_model
from tests.oracles import slow_cka

RNG = np.random.default_rng(0)
X, Y = RNG.normal(3, 1, (12, 5)), RNG.normal(-1, 2, (12, 7))
TURN = np.linalg.qr(RNG.normal(size=(5, 5)))[0]


def test_it_is_its_definition():
    assert linear_cka(X, Y) == pytest.approx(slow_cka(X.tolist(), Y.tolist()), rel=1e-9)
    mixed = X @ RNG.normal(size=(5, 7)) + 0.3 * Y
    assert linear_cka(X, mixed) == pytest.approx(slow_cka(X.tolist(), mixed.tolist()), rel=1e-9)


def test_it_sees_neither_rotation_nor_size_nor_place_but_other_linear_maps():
    assert linear_cka(X, X) == pytest.approx(1)
    assert linear_cka(X, 5 * X @ TURN + 7) == pytest.approx(1)
    assert linear_cka(5 * X @ TURN + 7, Y) == pytest.approx(linear_cka(X, Y)) == pytest.approx(linear_cka(Y, X))
    assert linear_cka(X, X @ np.diag([1, 1, 1, 1, 50.0])) < 0.9


def test_a_constant_representation_is_like_nothing():
    assert linear_cka(np.ones((12, 3)), X) == 0


def test_a_model_and_itself_and_tokens_without_padding():
    """The diagonal is 1; more padding and another order of batches with the same tokens change nothing."""
    model, other = small_model("bert"), small_model("bert", seed=1)
    batch = padded_batch() | {"labels": torch.zeros(5)}
    found = cka(model, model, [batch])
    assert np.diag(found) == pytest.approx(np.ones(len(found)))
    assert (np.abs(found - np.eye(len(found))) < 1).all()
    between = cka(model, other, [batch])
    assert between.max() < 0.99
    assert cka(other, model, [batch]) == pytest.approx(between.T)
    assert cka(model, other, [padded_batch(extra=4) | {"labels": torch.zeros(5)}]) == pytest.approx(between, abs=1e-5)
    parts = [{name: x[rows] for name, x in batch.items()} for rows in (slice(0, 2), slice(2, 5))]
    assert cka(model, other, parts) == pytest.approx(between, abs=1e-5)
    few = cka(model, other, [batch], tokens=6, seed=1)
    assert few == pytest.approx(cka(model, other, [batch], tokens=6, seed=1))
    assert np.abs(few - between).max() > 1e-3


def test_a_map_holds_the_value_of_each_pair_of_layers():
    from crild.diagnostics.passes import token_states

    model, other = small_model("distilbert"), small_model("bert")
    batch = padded_batch() | {"labels": torch.zeros(5)}
    real = int(batch["attention_mask"].sum())
    ours, theirs = (token_states(m, [batch], np.arange(real)) for m in (model, other))
    assert {len(x) for x in (*ours, *theirs)} == {real}
    found = cka(model, other, [batch])
    assert found.shape == (len(ours), len(theirs))
    for i, x in enumerate(ours):
        for j, y in enumerate(theirs):
            assert found[i, j] == pytest.approx(linear_cka(x, y))
