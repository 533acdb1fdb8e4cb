"""Teacher, student and objective of a run: where they come from, and what does not fit together."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig

import crild
from crild.errors import CrildError
from crild.models import architecture
from crild.objectives import OBJECTIVES
from tests.runs import prepared
from tests.tiny import save_tiny


@pytest.mark.parametrize(("heads", "fails"), [(None, False), (2, True)])
def test_attention_maps_need_equal_heads(heads, fails, tiny_teacher, film_data, tmp_path):
    options = {"method": "cr-ild", "student_width": 16, "student_heads": heads}
    if not fails:
        assert prepared(tiny_teacher, film_data, tmp_path, **options).models.objective is not None
        return
    with pytest.raises(CrildError, match="2 heads and the teacher 4; use `--features qkv`"):
        prepared(tiny_teacher, film_data, tmp_path, **options)
    models = prepared(tiny_teacher, film_data, tmp_path, **options, features="qkv").models
    assert models.student.config.num_attention_heads == 2


@pytest.mark.parametrize(("weights", "said"), [("sliced", "sliced to width 16"), ("fresh", "fresh weights")])
def test_narrower_students_say_where_their_weights_come_from(weights, said, tiny_teacher, film_data, tmp_path):
    models = prepared(tiny_teacher, film_data, tmp_path, method="kd", student_width=16, student_weights=weights).models
    assert said in models.student_init
    assert models.student.config.hidden_size == 16


def test_a_narrower_student_cannot_have_the_teachers_head(tiny_teacher, film_data, tmp_path):
    with pytest.raises(CrildError, match="another shape"):
        prepared(tiny_teacher, film_data, tmp_path, method="kd", student_width=16, student_head="teacher")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An encoder of the teacher's width, with other weights."""
    return save_tiny(tmp_path_factory.mktemp("small"), layers=2)


BASE, PATH = {"base": "tiny"}, {"student": "small"}


@pytest.mark.parametrize(
    ("options", "teachers"),
    [
        (BASE | {"method": "cr-ild"}, True),
        (BASE | {"method": "kd"}, True),
        (PATH | {"method": "l-ild"}, True),
        (BASE | {"method": "ft"}, False),
        (BASE | {"method": "ft", "student_head": "teacher"}, True),
        (BASE | {"method": "cr-ild", "student_head": "fresh"}, False),
        (BASE | {"method": "minilmv2", "student_width": 16}, False),
        ({"method": "kd", "student_head": "fresh"}, False),
        ({"method": "ft"}, True),  # the teacher's own layers
        ({"method": "kd", "student_width": 16}, False),
    ],
)
def test_a_student_has_the_teachers_head_wherever_it_fits(
    options, teachers, small, tiny, tiny_teacher, film_data, tmp_path
):
    places = {name: {"tiny": str(tiny), "small": str(small)}.get(value, value) for name, value in options.items()}
    models = prepared(tiny_teacher, film_data, tmp_path, **places).models
    assert models.student_init.endswith(", the teacher's head" if teachers else ", fresh head")
    assert models.copies_head == teachers


STILL = {"kd_learning_rate": 0.0, "student": 2, "method": "kd", "max_steps": 2, "precision": "fp32"}


def head_of(folder):
    return load_file(folder / "model.safetensors")["classifier.weight"]


def test_the_control_starts_with_a_fresh_head(tiny, tiny_teacher, film_data, tmp_path):
    options = {"teacher": str(tiny_teacher), "base": str(tiny), "data": str(film_data), **STILL}
    crild.distill(**options, output=str(tmp_path / "run"), finetune_learning_rate=0.0)
    fresh = prepared(tiny_teacher, film_data, tmp_path, base=str(tiny), **STILL)
    assert torch.equal(head_of(tmp_path / "run/student"), head_of(tiny_teacher))
    assert torch.equal(head_of(tmp_path / "run/control"), fresh.models.student.classifier.weight.cpu())


def test_the_head_is_that_of_the_teacher_when_it_is_trained(tiny, film_data, tmp_path):
    options = {"teacher": str(tiny), "data": str(film_data), "control": False, **STILL}
    crild.distill(**options, output=str(tmp_path / "run"))  # fine-tunes the teacher first
    assert torch.equal(head_of(tmp_path / "run/student"), head_of(tmp_path / "run/teacher"))


def test_a_model_that_cannot_be_interpolated_is_refused_before_training(tiny_teacher, film_data, tmp_path, monkeypatch):
    bert = replace(architecture.find_architecture(BertConfig()), embeddings=None)
    monkeypatch.setattr(architecture, "ARCHITECTURES", (bert,))
    prepared(tiny_teacher, film_data, tmp_path, method="kd")
    with pytest.raises(CrildError, match=r"no embedding module .*--kd-inputs plain"):
        prepared(tiny_teacher, film_data, tmp_path, method="kd", kd_inputs="interpolated")


def test_features_bring_their_own_map(tiny_teacher, film_data, tmp_path):
    models = prepared(tiny_teacher, film_data, tmp_path, method="cr-ild", features="ckd").models
    assert models.objective.layer_map.name == "uniform"
    assert "layer_distances" in models.objective.terms


def test_an_objective_without_a_gradient_is_refused_before_training(tiny_teacher, film_data, tmp_path):
    try:

        @crild.objective("constant")
        def constant(student, teacher, mask):
            return (student.hidden.detach() - teacher.hidden).square().mean(-1)

        with pytest.raises(CrildError, match="does not depend on the student"):
            prepared(tiny_teacher, film_data, tmp_path, method="l-ild", features="constant")
    finally:
        OBJECTIVES.pop("constant", None)


def test_as_released_matches_on_the_models_own_heads(tiny_teacher, film_data, tmp_path):
    objective = prepared(tiny_teacher, film_data, tmp_path, method="cr-ild-as-released").models.objective
    assert objective.terms == ("head_relation_qq", "head_relation_kk", "head_relation_vv")
    assert not objective.takes_heads
