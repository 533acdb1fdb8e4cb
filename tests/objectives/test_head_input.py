"""What the head reads: against loops, and by the heads of real models."""

import pytest
import torch

from crild.errors import CrildError
from crild.methods.recipe import Recipe
from crild.models.capture import capture
from crild.models.interpolation import Mixing
from crild.objectives import Shape, compose
from crild.objectives.head_input import head_input
from crild.training.distiller import Distiller
from tests.architectures import ARCHITECTURES, DEPTH, padded_batch, small_model
from tests.objectives.situations import check_values, draw, shape, situations_of
from tests.oracles import mean, slow_head_input

POOLINGS = {"modernbert": ("cls", "mean"), "ultrabert": ("cls", "mean"), "eurobert": ("bos", "mean")}
MODELS = [
    (name, {"classifier_pooling": pooling} if pooling else {})
    for name in ARCHITECTURES
    for pooling in POOLINGS.get(name, (None,))
]
BEHIND_A_POOLER = ("bert", "ernie", "megatron-bert", "nomic-bert", "gte", "rembert")


@pytest.mark.parametrize("name", situations_of("head-input"))
def test_values_agree_with_slow_loops(name):
    check_values(name)


def rest_of_the_head(name, model, vector):
    """A model's logits from what its head reads (B, d): every head by hand."""
    if name in BEHIND_A_POOLER:
        return model.classifier(model.base_model.pooler(vector[:, None]))
    if name == "albert":
        return model.classifier(model.albert.pooler(vector).tanh())
    if name.startswith("deberta"):
        return model.classifier(model.pooler(vector[:, None]))
    if name == "distilbert":
        return model.classifier(model.pre_classifier(vector).relu())
    if name in ("modernbert", "ultrabert"):
        return model.classifier(model.head(vector))
    if name == "eurobert":
        return model.classifier(model.activation(model.dense(vector)))
    return model.classifier(vector[:, None])  # RoBERTa and its kin: a head that takes the first token


@pytest.mark.parametrize("mixing", [None, Mixing.of("neighbour", 0.7, 5)], ids=["plain", "interpolated"])
@pytest.mark.parametrize(("name", "options"), MODELS)
def test_the_rest_of_the_head_makes_the_models_logits_of_it(name, options, mixing):
    model = small_model(name, **options)
    with torch.no_grad():
        features = capture(model, padded_batch(extra=2), ("hidden", "logits"), (DEPTH,), mixing)
        vector = head_input(features, features.mask, Shape.of(model.config))
        torch.testing.assert_close(rest_of_the_head(name, model, vector), features.logits)


def test_a_head_that_reads_every_token_is_refused():
    late = Shape.of(small_model("eurobert").config)  # its default
    first = Shape.of(small_model("bert").config)
    for student, teacher, who in ((late, first, "student"), (first, late, "teacher")):
        with pytest.raises(CrildError, match=rf"the {who}'s head reads every token .*use `--features h`"):
            compose("head-input", "last", student, teacher)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_consistency_is_of_the_students_own_head_over_the_targets_tokens(pooling):
    of = shape(pooling=pooling)
    objective = compose("head-input", "last", of, shape(layers=5, width=18)).double()
    mixed, clean = draw(6, of, (5, 5, 4)), draw(7, of, (5, 3, 4))
    same = compose("head-input", "last", of, of).double()
    expected = slow_head_input(same.parts[0], mixed, clean, ())["head_input"]
    assert mean(objective.consistency(mixed, clean)["head_input"]) == pytest.approx(expected, rel=1e-12)


def test_only_last_layers_are_captured_whatever_the_map_and_beside_others():
    student, teacher = shape(), shape(layers=5)
    for layer_map in ("last", "uniform", "first", "random", "emd", "all"):
        alone = compose("head-input", layer_map, student, teacher)
        assert (alone.layers("student"), alone.layers("teacher"), alone.pairs) == ([3], [5], ())
    both = compose("ah+0.5*head-input", "1-2", student, teacher)
    assert (both.layers("student"), both.layers("teacher")) == ([1, 3], [2, 5])
    assert both.weights == {"attention": 1.0, "hidden": 1.0, "head_input": 0.5}


@pytest.mark.parametrize(("name", "options"), [("bert", {}), ("modernbert", {"classifier_pooling": "mean"})])
def test_a_step_on_interpolated_inputs_with_consistency(name, options):
    teacher, student = small_model(name, seed=1, **options), small_model(name, seed=2, **options)
    objective = compose("ah+head-input", "last", Shape.of(student.config), Shape.of(teacher.config))
    recipe = Recipe(intermediate_weight=1.0, interpolate=True, consistency=0.1)
    module = Distiller(student, recipe, teacher, objective).train()
    short, long = (module(padded_batch(extra=extra), lam=0.7, progress=1.0) for extra in (0, 6))
    assert {"head_input", "consistency/head_input"} < short["terms"].keys()
    torch.testing.assert_close(short["terms"], long["terms"], atol=1e-4, rtol=1e-5)
    assert short["terms"]["head_input"][1] == short["terms"]["consistency/head_input"][1] == 5
    short["loss"].backward()
    assert student.get_input_embeddings().weight.grad.abs().sum() > 0
