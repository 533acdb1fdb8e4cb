"""Interpolated inputs: partners, lambda, masks, mixed embeddings."""

import pytest
import torch

from crild.models.capture import capture
from crild.models.interpolation import Mixing, draw_lambda, mixed_embeddings, neighbours
from tests.architectures import ARCHITECTURES, DEPTH, padded_batch, small_model

LAM = 0.7
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@every_architecture
def test_interpolation_mixes_embeddings_and_joins_masks(name):
    model, batch = small_model(name), padded_batch((7, 4))
    mixing = Mixing.of("neighbour", 1.0, 2)
    with torch.no_grad():
        mixed = capture(model, batch, ("hidden",), (DEPTH,), mixing)
    assert mixed.mask.sum(1).tolist() == [7, 7]
    with torch.no_grad():
        plain_states = model.base_model(**batch, output_hidden_states=True).hidden_states[0]
        with mixed_embeddings(model, Mixing.of("neighbour", LAM, 2), batch["attention_mask"]):
            mixed_states = model.base_model(**batch, output_hidden_states=True).hidden_states[0]
    torch.testing.assert_close(mixed_states, LAM * plain_states + (1 - LAM) * plain_states.flip(0))
    # lam = 1 on the longer row is the plain row
    with torch.no_grad():
        plain = capture(model, batch, ("hidden",), (DEPTH,))
    torch.testing.assert_close(mixed.layers[DEPTH].hidden[0], plain.layers[DEPTH].hidden[0])


@pytest.mark.parametrize(
    ("rows", "partners"), [(1, [0]), (2, [1, 0]), (3, [1, 2, 0]), (5, [1, 0, 3, 4, 2]), (6, [1, 0, 3, 2, 5, 4])]
)
def test_partners_are_neighbours(rows, partners):
    assert neighbours(rows) == partners
    assert sorted(neighbours(rows)) == list(range(rows))


def test_lambda_is_a_function_of_its_seed_and_at_least_one_half():
    draws = [draw_lambda(42, 7, step) for step in range(500)]
    assert draws == [draw_lambda(42, 7, step) for step in range(500)]
    assert all(0.5 <= lam <= 1.0 for lam in draws)
    assert 0.73 < sum(draws) / 500 < 0.77  # uniform on [1/2, 1]


def test_union_mask():
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]])
    assert Mixing.of("neighbour", 0.5, 2).union(mask).tolist() == [[1, 1, 1, 0], [1, 1, 1, 0]]


@pytest.mark.parametrize(("rows", "partners"), [(1, [0]), (2, [1, 0]), (4, [3, 2, 1, 0]), (5, [4, 3, 2, 1, 0])])
def test_a_reversed_batch_as_partners(rows, partners):
    mixing = Mixing.of("reversed", 0.75, rows)
    assert mixing.partners.tolist() == partners
    assert mixing.lam == 0.75
    x = torch.randn(rows, 3, 2)
    torch.testing.assert_close(mixing.blend(x), 0.75 * x + 0.25 * x.flip(0))
    mask = (torch.arange(3)[None] <= torch.arange(rows)[:, None]).long()
    assert torch.equal(mixing.union(mask), mask | mask.flip(0))
