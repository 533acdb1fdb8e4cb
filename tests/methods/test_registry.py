"""Every method, from its declaration to a student: what is captured, that it learns, that no two are the same."""

import json
from pathlib import Path

import pytest
import torch

import crild
import crild.training.terms
from crild.methods import METHODS
from crild.methods.recipe import Recipe
from crild.objectives import Shape, captured, compose
from crild.training.distiller import Distiller
from tests.architectures import padded_batch, small_model
from tests.runs import QUICK, history, sha256

NORMS = Path(__file__).resolve().parents[2] / "benchmarks/results/gradient_norms.json"
WITH_TERM = [name for name, method in METHODS.items() if method.matches is not None]
OF_ITS_OWN = [name for name in WITH_TERM if METHODS[name].augment is None]  # rewrites change the texts, not the term


def held_out(output: Path) -> list[float]:
    """The method's own loss on the held-out rows, at every evaluation; the consistency term is no part of it."""
    steps = [json.loads(line) for line in (output / "stages/ild/steps.jsonl").open()]
    weights = {k: t["weight"] for k, t in steps[-1]["terms"].items() if not k.startswith("consistency/")}
    return [sum(w * entry["held_out"][k] for k, w in weights.items()) for entry in history(output, "ild")]


@pytest.mark.parametrize("depths", [(3, 6), (6, 12)])
@pytest.mark.parametrize("name", WITH_TERM)
def test_the_documented_number_of_tensors_is_captured(name, depths, monkeypatch):
    method = METHODS[name]
    student, teacher = (small_model("bert", seed=i, num_hidden_layers=n) for i, n in enumerate(depths))
    objective = compose(method.matches, method.layer_map, Shape.of(student.config), Shape.of(teacher.config))
    recipe = Recipe(intermediate_weight=1.0, interpolate=method.interpolate)
    seen = {}
    original = crild.training.terms.capture

    def counted(model, *args):
        features = original(model, *args)
        tensors = [features.logits] + [
            x for layer in features.layers.values() for x in (layer.hidden, layer.query, layer.key, layer.value)
        ]
        seen[id(model)] = sum(x is not None for x in tensors)
        return features

    monkeypatch.setattr(crild.training.terms, "capture", counted)
    batch = padded_batch() | {"words": torch.arange(9).expand(5, -1) // 2}
    Distiller(student, recipe, teacher, objective)(batch, lam=0.7)
    found = [seen[id(model)] for model in (student, teacher)]
    assert found == [len(captured(objective, side)) for side in ("student", "teacher")]

    from tools.reference import counts

    assert counts(method)[[(3, 6), (6, 12)].index(depths)] == f"{found[0]} + {found[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_TERM)
def test_the_held_out_loss_falls(name, tiny_teacher, film_data, tmp_path):
    common = {"teacher": str(tiny_teacher), "data": str(film_data), "student": 2, "student_width": 16, "method": name}
    options = {"ild_learning_rate": 5e-3, "max_steps": 40, "kd_epochs": 1}
    crild.distill(**common, **options, output=str(tmp_path / "run"), **QUICK)
    losses = held_out(tmp_path / "run")
    assert history(tmp_path / "run", "ild")[0]["step"] == 0
    assert losses[-1] <= 0.9 * losses[0]  # that it stays where nothing is learned: tests/training/test_stage.py


@pytest.fixture(scope="module")
def students(tiny_teacher, film_data, tmp_path_factory):
    """The sha256 of every method's student by schedule and method, a few steps each; narrow in a paper's schedule."""
    found = {}
    for name, method in METHODS.items():
        for schedule in ("two-stage", "paper") if method.paper else ("two-stage",):
            shape = {"student": 3} if schedule == "two-stage" else {"student": 2, "student_width": 16}
            output = tmp_path_factory.mktemp("run") / "out"
            crild.distill(
                teacher=str(tiny_teacher), data=str(film_data), method=name, schedule=schedule, output=str(output),
                max_steps=3, **shape, **QUICK,
            )  # fmt: skip
            found[schedule, name] = sha256(output)
    return found


@pytest.mark.slow
def test_no_two_methods_end_with_the_same_student(students):
    assert len(set(students.values())) == len(students) == 20 + 12


@pytest.mark.slow
def test_declared_equivalents_are_equal(tiny_teacher, film_data, tmp_path):
    outputs = {}
    for name in ("u-ild", *METHODS["u-ild"].equals):
        outputs[name] = tmp_path / name
        crild.distill(
            teacher=str(tiny_teacher), data=str(film_data), student=1, method=name, output=str(outputs[name]),
            max_steps=3, **QUICK,
        )  # fmt: skip
    assert len({sha256(output) for output in outputs.values()}) == 1


def test_committed_gradient_norms_are_of_todays_methods_and_their_parts_are_balanced():
    found = json.loads(NORMS.read_text())
    assert {n: x["matches"] for n, x in found["after"].items()} == {n: METHODS[n].matches for n in OF_ITS_OWN}
    for name in ("tinybert", "bert-emd"):
        terms = {when: found[when][name]["terms"] for when in ("before", "after")}
        apart = {w: t["attention_scores"]["weighted"] / t["hidden"]["weighted"] for w, t in terms.items()}
        assert apart["before"] > 100
        assert 1 / 3 < apart["after"] < 3
    assert found["before"]["pkd"]["median_over_epsilon"] < 1
    assert found["after"]["pkd"]["median_over_epsilon"] > 10
    assert found["after"]["cr-ild-as-released"]["adam_epsilon"] == 1e-6
