"""Capture equals an independent recomputation in every architecture; the embedding stage as layer 0; refusals."""

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSequenceClassification

from crild.errors import CrildError
from crild.models.capture import QKV, capture
from crild.models.interpolation import Mixing
from tests.architectures import ARCHITECTURES, DEPTH, SMALL, padded_batch, small_model

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@every_architecture
def test_layer_0_is_what_the_first_layer_sees(name):
    model, batch = small_model(name), padded_batch()
    with torch.no_grad():
        features = capture(model, batch, ("hidden", *QKV), (0, DEPTH))
        expected = model.base_model(**batch, output_hidden_states=True).hidden_states
        alone = capture(model, batch, ("hidden", "logits"), (0,))
        mixed = capture(model, batch, ("hidden",), (0,), Mixing.of("neighbour", 0.7, 5))
    stage = features.layers[0]
    assert stage.query is stage.key is stage.value is None
    torch.testing.assert_close(stage.hidden, expected[0])
    torch.testing.assert_close(alone.layers[0].hidden, expected[0])
    partners = [1, 0, 3, 4, 2]
    torch.testing.assert_close(mixed.layers[0].hidden, 0.7 * expected[0] + 0.3 * expected[0][partners])
    assert stage.hidden.shape[-1] == model.config.hidden_size  # projected, where embeddings are narrower
    # the layers asked for beside it are as ever, and the last one is what the head sees
    assert features.layers[DEPTH].query is not None
    torch.testing.assert_close(features.layers[DEPTH].hidden, model.base_model(**batch).last_hidden_state)


@every_architecture
def test_the_last_layer_is_what_the_head_sees_with_logits_too(name):
    model, batch = small_model(name), padded_batch()
    with torch.no_grad():
        features = capture(model, batch, ("hidden", "logits"), (1, DEPTH))
        expected = model.base_model(**batch).last_hidden_state
    torch.testing.assert_close(features.layers[DEPTH].hidden, expected)


@pytest.mark.parametrize("name", ["eurobert", "ultrabert"])
def test_grouped_queries_have_fewer_heads_of_keys_and_values(name):
    with torch.no_grad():
        layer = capture(small_model(name), padded_batch(), QKV, (1,)).layers[1]
    assert [x.shape for x in (layer.query, layer.key, layer.value)] == [(5, 4, 9, 6), (5, 2, 9, 6), (5, 2, 9, 6)]


def test_local_layers_say_their_window():
    with torch.no_grad():
        layers = capture(small_model("ultrabert"), padded_batch(), QKV, (1, 2)).layers
    assert layers[1].window is None
    assert layers[2].window == 4  # three tokens to either side


def other_model(kind, **options):
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(kind, **{**SMALL, **options})).eval()


def test_attention_that_cannot_be_read_is_refused_and_hidden_states_still_work():
    model, batch = other_model("roformer"), padded_batch()
    with torch.no_grad(), pytest.raises(CrildError, match="use `--features h`"):
        capture(model, batch, ("query",), (1,))
    with torch.no_grad():
        features = capture(model, batch, ("hidden",), (0, DEPTH))
    torch.testing.assert_close(features.layers[DEPTH].hidden, model.base_model(**batch).last_hidden_state)


def test_a_model_without_an_embedding_module_is_not_interpolated_at_the_wrong_place():
    model = other_model("xlm", emb_dim=24, n_layers=2, n_heads=4)  # adds positions after what it calls `embeddings`
    with torch.no_grad(), pytest.raises(CrildError, match="no embedding module"):
        capture(model, padded_batch(), ("hidden",), (1,), Mixing.of("neighbour", 0.7, 5))


FAST = [name for name, architecture in ARCHITECTURES.items() if architecture.fast]
with_fast_attention = pytest.mark.parametrize("name", FAST)


@pytest.mark.parametrize(
    ("name", "implementation"), [(n, "eager") for n in ARCHITECTURES] + [(n, "sdpa") for n in FAST]
)
def test_captured_qkv_equal_an_independent_recomputation(name, implementation):
    model = small_model(name)
    model.config._attn_implementation = implementation
    batch = padded_batch()
    layers = range(1, DEPTH + 1)
    with torch.no_grad():
        features = capture(model, batch, ("hidden", *QKV, "logits"), layers)
        plain = model(**batch, output_hidden_states=True)
    assert model.config._attn_implementation == implementation
    torch.testing.assert_close(features.logits, plain.logits)
    real = batch["attention_mask"].bool()
    for layer in layers:
        inputs = plain.hidden_states[layer - 1]
        with torch.no_grad():
            expected = ARCHITECTURES[name].qkv(model, layer, inputs)
        found = features.layers[layer]
        for tensor, value in zip((found.query, found.key, found.value), expected, strict=True):
            torch.testing.assert_close(tensor.transpose(1, 2)[real], value.transpose(1, 2)[real])
        torch.testing.assert_close(found.hidden, plain.hidden_states[layer])


@every_architecture
def test_last_hidden_state_is_what_the_head_sees(name):
    model, batch = small_model(name), padded_batch()
    with torch.no_grad():
        features = capture(model, batch, ("hidden",), (DEPTH,))
        expected = model.base_model(**batch).last_hidden_state
    torch.testing.assert_close(features.layers[DEPTH].hidden, expected)


@with_fast_attention
def test_fast_attention_is_called_exactly_once_per_layer(name, monkeypatch):
    model = small_model(name)
    calls = []
    original = F.scaled_dot_product_attention

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    capture(model, padded_batch(), (*QKV, "hidden"), (DEPTH,))
    assert len(calls) == DEPTH
