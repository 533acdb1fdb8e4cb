"""Capture, padding, zero at the identical student, and fast attention, for each of the nine architectures."""

from copy import deepcopy

import pytest
import torch
from torch.nn import functional as F

from crild.distiller import Distiller, Recipe
from crild.methods import build_objective
from crild.models.capture import capture
from crild.models.interpolation import Mixing, mixed_embeddings
from crild.models.students import cut
from tests.architectures import ARCHITECTURES, DEPTH, padded_batch, small_model

FAST = [name for name, architecture in ARCHITECTURES.items() if architecture.fast]
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
with_fast_attention = pytest.mark.parametrize("name", FAST)
LAM = 0.7


def distiller(name, student, teacher, features="ahqkv", consistency=0.1, **recipe):
    objective = build_objective(features, student.config, teacher.config, None)
    pairs = ((student.config.num_hidden_layers, teacher.config.num_hidden_layers),)
    made = Recipe(features=1.0, pairs=pairs, interpolate=True, consistency=consistency, distillation=1.0, **recipe)
    return Distiller(student, made, teacher, objective)


@pytest.mark.parametrize(
    ("name", "implementation"), [(n, "eager") for n in ARCHITECTURES] + [(n, "sdpa") for n in FAST]
)
def test_captured_qkv_equal_an_independent_recomputation(name, implementation):
    model = small_model(name)
    model.config._attn_implementation = implementation
    batch = padded_batch()
    layers = range(1, DEPTH + 1)
    with torch.no_grad():
        features = capture(model, batch, ("hidden", "query", "key", "value", "logits"), layers)
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


@every_architecture
def test_loss_and_gradient_do_not_change_with_padding(name):
    teacher = small_model(name, seed=1)
    losses, gradients = [], []
    for extra in (0, 6):
        student = cut(small_model(name, seed=2), [0, 1])
        module = distiller(name, student, teacher).train()
        output = module(padded_batch(extra=extra), lam=LAM, progress=1.0)
        output["loss"].backward()
        losses.append(output["loss"].detach())
        gradients.append({n: p.grad for n, p in student.named_parameters() if p.grad is not None})
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-5)
    for parameter, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][parameter], gradient, atol=1e-5, rtol=1e-4, msg=parameter)


@every_architecture
def test_identical_student_reads_zero_and_another_has_gradient(name):
    teacher = small_model(name)
    module = distiller(name, deepcopy(teacher), teacher).train()
    output = module(padded_batch(), lam=LAM, progress=1.0)
    values = {k: float(total / count) for k, (total, count) in output["terms"].items()}
    assert {k for k in values if not k.startswith("consistency/")} == {
        "attention", "hidden", "relation_qq", "relation_kk", "relation_vv", "kd",
    }  # fmt: skip
    for term, value in values.items():
        if not term.startswith("consistency/"):
            assert abs(value) <= 1e-6, term

    student = cut(small_model(name, seed=5), [0, 1])
    for features in ("a", "h", "qkv"):
        student.zero_grad()
        module = distiller(name, student, teacher, features, consistency=0.0)
        module(padded_batch(), lam=LAM)["loss"].backward()
        embeddings = student.get_input_embeddings().weight
        assert embeddings.grad is not None
        assert float(embeddings.grad.abs().sum()) > 1e-6, features


@with_fast_attention
def test_fast_attention_is_called_exactly_once_per_layer(name, monkeypatch):
    model = small_model(name)
    calls = []
    original = F.scaled_dot_product_attention

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    capture(model, padded_batch(), ("query", "key", "value", "hidden"), (DEPTH,))
    assert len(calls) == DEPTH


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


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in ("mpnet", "albert")])
def test_gradient_checkpointing_changes_nothing(name):
    teacher = small_model(name, seed=1)
    results = []
    for checkpointing in (False, True):
        student = cut(small_model(name, seed=2), [0, 1])
        if checkpointing:
            student.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        module = distiller(name, student, teacher).train()
        output = module(padded_batch(), lam=LAM, progress=1.0)
        output["loss"].backward()
        results.append((output["loss"].detach(), student.get_input_embeddings().weight.grad))
    torch.testing.assert_close(results[0], results[1])
