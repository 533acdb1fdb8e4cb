"""The terms of a stage: each counts what it says, and together they are the loss."""

from dataclasses import replace

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
    "interpolated logits": Recipe(distillation=0.9, interpolate_logits=True),
    "interpolated logits, labels": Recipe(distillation=0.9, interpolate_logits=True, task=0.1),
    "joint, interpolated logits": Recipe(intermediate_weight=0.5, distillation=0.7, interpolate_logits=True),
    "joint, all interpolated": replace(EVERYTHING, consistency=0.0, interpolate_logits=True, task=0.0),
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


def run_of(module, batch):
    """Return a step's output, and how many passes ran through the encoder of student and teacher."""
    passes = []
    models = {"student": module.student, "teacher": module.teacher}
    hooks = [
        m.bert.encoder.register_forward_hook(lambda *_, name=name: passes.append(name)) for name, m in models.items()
    ]
    output = module(batch, lam=0.7, progress=0.5)
    for hook in hooks:
        hook.remove()
    return output, (passes.count("student"), passes.count("teacher"))


@pytest.mark.parametrize(
    ("name", "training", "evaluation"),
    [
        ("interpolated logits", (1, 1), (2, 1)),  # the score is of plain inputs, and only the score
        ("interpolated logits, labels", (2, 1), (2, 1)),
        ("joint, interpolated logits", (2, 2), (2, 2)),
        ("joint, all interpolated", (1, 1), (2, 1)),
    ],
)
def test_a_pass_over_plain_inputs_runs_where_something_looks_at_it(name, training, evaluation):
    module, batch = distiller(RECIPES[name]), labelled_batch()
    output, passes = run_of(module, batch)
    assert passes == training
    assert (output["logits"] is None) == (not RECIPES[name].task)
    output, passes = run_of(module.eval(), batch)
    assert passes == evaluation
    plain = module.student(**padded_batch()).logits
    torch.testing.assert_close(output["logits"], plain)


def mixed_logits(model, lam=0.7, partners=(1, 0, 3, 4, 2)):
    """A BERT's logits where the output of its embeddings is interpolated, under the union of the masks."""
    batch, partners = padded_batch(), list(partners)
    hook = model.bert.embeddings.register_forward_hook(lambda _, __, e: lam * e + (1 - lam) * e[partners])
    mask = batch["attention_mask"] | batch["attention_mask"][partners]
    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"], attention_mask=mask).logits
    hook.remove()
    return logits


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.interpolate_logits])
def test_interpolated_logits_are_those_of_one_mixture_and_touch_no_other_term(name):
    module = distiller(RECIPES[name]).eval()
    plain = distiller(replace(RECIPES[name], interpolate_logits=False)).eval()
    cached = {"teacher_logits": torch.zeros(5, 3)}  # on plain inputs: of no use here
    found, other = (each(labelled_batch() | cached, lam=0.7, progress=0.5)["terms"] for each in (module, plain))
    ours, theirs = (mixed_logits(model) for model in (module.student, module.teacher))
    logs = [(x / 2).log_softmax(-1) for x in (ours, theirs)]
    expected = 4 * (logs[1].exp() * (logs[1] - logs[0])).sum()
    torch.testing.assert_close(found["kd"][0], expected, rtol=1e-4, atol=1e-5)
    assert found.keys() == other.keys()
    assert all(torch.allclose(x, other[k][0]) == (k != "kd") for k, (x, _) in found.items())


def test_no_objective_may_have_the_name_of_a_stages_term():
    assert sorted(STAGE_TERMS) == sorted(name for term in TERMS for name in term.names)
