"""The terms of a stage: each counts what it says, and together they are the loss."""

import pytest
import torch

import crild.training.terms
from crild.methods.recipe import Recipe
from crild.models.cut import cut
from crild.objectives import Shape, compose
from crild.objectives.base import STAGE_TERMS
from crild.training.distiller import Distiller
from crild.training.terms import TERMS, Step
from tests.architectures import padded_batch, small_model

EVERYTHING = Recipe(
    intermediate_weight=0.5, interpolate=True, consistency=0.2, mixed_task=0.3, distillation=0.7, task=0.4
)
RECIPES = {
    "everything, interpolated": EVERYTHING,
    "joint": Recipe(intermediate_weight=0.5, distillation=0.7, task=0.3),
    "logits": Recipe(distillation=0.9, task=0.1),
    "filters": Recipe(filters=2.0),
}


def distiller(recipe):
    teacher, student = small_model("bert", seed=1), cut(small_model("bert", seed=2), [0, 1])
    torch.manual_seed(5)
    features = "ted" if recipe.filters else "ah"
    objective = compose(features, "last", Shape.of(student.config), Shape.of(teacher.config))
    return Distiller(student, recipe, teacher, objective).train()


def labelled_batch():
    return padded_batch() | {"labels": torch.tensor([0.0, 1.0, float("nan"), 1.0, 0.0])}


@pytest.mark.parametrize("name", RECIPES)
def test_a_terms_count_before_the_passes_is_its_count_after_them(name):
    module, batch = distiller(RECIPES[name]), labelled_batch()
    output = module(batch, lam=0.7, progress=0.5)
    counts = module.counts(batch, 0.7)
    assert list(counts) == list(output["terms"]) == list(output["weights"])
    assert {k: int(n) for k, n in counts.items()} == {k: int(n) for k, (_, n) in output["terms"].items()}
    values = {k: float(total / n) for k, (total, n) in output["terms"].items()}
    assert float(output["loss"]) == pytest.approx(sum(w * values[k] for k, w in output["weights"].items()))


def test_the_weights_are_the_recipes():
    found = distiller(EVERYTHING)(labelled_batch(), lam=0.7, progress=0.5)["weights"]
    assert found == pytest.approx(
        {"attention": 0.5, "hidden": 0.5, "consistency/attention": 0.1, "consistency/hidden": 0.1}
        | {"mixed_task": 0.3, "kd": 0.7, "task": 0.4}
    )


@pytest.mark.parametrize(("name", "passes"), [("joint", 2), ("everything, interpolated", 3)])
def test_terms_share_their_passes(name, passes, monkeypatch):
    runs, original = [], crild.training.terms.capture
    monkeypatch.setattr(crild.training.terms, "capture", lambda *a, **k: runs.append(a[0]) or original(*a, **k))
    module = distiller(RECIPES[name])
    module(labelled_batch(), lam=0.7, progress=0.5)
    assert len(runs) == passes
    assert runs.count(module.teacher) == 1


@pytest.mark.parametrize("cached", [True, False])
def test_logits_of_a_rows_own_fold_go_before_the_teachers(cached):
    module, batch = distiller(Recipe(distillation=1.0)), labelled_batch()
    live = Step(module.recipe, module.step(batch, None).models, batch, None).teacher_logits
    given = {"teacher_logits": live + 1} if cached else {}
    folds = torch.full_like(live, float("nan"))
    folds[1], folds[3] = 7.0, 9.0
    found = module.step(batch | given | {"fold_logits": folds}, None).teacher_logits
    expected = live + cached
    expected[1], expected[3] = 7.0, 9.0
    torch.testing.assert_close(found, expected)


def test_no_objective_may_have_the_name_of_a_stages_term():
    assert sorted(STAGE_TERMS) == sorted(name for term in TERMS for name in term.names)
