"""What would run: stages, recipes, settings, and what is refused before it starts."""

import pytest

import crild
import crild.training.distiller
from crild.errors import CrildError
from crild.methods import METHODS
from crild.objectives import OBJECTIVES
from tests.runs import plan


@pytest.mark.parametrize("name", METHODS)
def test_two_stage_is_the_own_term_then_the_teachers_logits_without_labels(name, tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method=name)
    ours = [stage for stage in run.stages if stage.trains == "student"]
    expected = {"ft": ["student"], "kd": ["kd"], "ted": ["filters", "ild", "kd"]}.get(name, ["ild", "kd"])
    assert [stage.name for stage in ours] == expected
    for stage in ours:
        if stage.name == "ild":
            assert (stage.recipe.intermediate_weight, stage.recipe.uses_logits, stage.recipe.uses_labels) == (
                1.0,
                False,
                False,
            )
        elif stage.name == "kd":
            assert (stage.recipe.distillation, stage.recipe.task, stage.recipe.temperature) == (1.0, 0.0, 2.0)
    assert [stage.name for stage in run.stages if stage.trains == "control"] == ([] if name == "ft" else ["control"])


def test_hard_labels_and_temperature_override_a_schedule(tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="pkd", schedule="paper", hard_label_weight=0.25, temperature=5)
    recipe = run.stage("joint").recipe
    assert (recipe.distillation, recipe.task, recipe.temperature, recipe.intermediate_weight) == (0.75, 0.25, 5, 1.0)


def test_as_released_takes_random_padded_batches_and_drops_the_last(tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="cr-ild-as-released", max_length=40)
    first, second = run.stage("ild"), run.stage("kd")
    for stage in (first, second):
        assert (stage.settings.grouped, stage.settings.drop_last) == (False, True)
        assert stage.settings.steps_per_epoch(stage.rows) == stage.rows // 32
    assert (first.settings.pad_to, second.settings.pad_to) == (40, None)
    assert (first.recipe.partners, first.recipe.masked, first.recipe.consistency) == ("reversed", False, 0.0)
    assert {stage.recipe.adam_epsilon for stage in (first, second)} == {1e-6}
    assert run.objective.terms == ("relation_qq", "relation_kk", "relation_vv")
    assert not run.objective.takes_heads  # the models' own
    plain = plan(tiny_teacher, film_data, tmp_path, method="cr-ild").stage("ild")
    assert plain.recipe.adam_epsilon == 1e-8
    assert (plain.settings.grouped, plain.settings.drop_last, plain.settings.pad_to) == (True, False, None)


@pytest.mark.parametrize(("heads", "fails"), [(None, False), (2, True)])
def test_attention_maps_need_equal_heads(heads, fails, tiny_teacher, film_data, tmp_path):
    options = {"method": "cr-ild", "student_width": 16, "student_heads": heads}
    if not fails:
        assert plan(tiny_teacher, film_data, tmp_path, **options).objective is not None
        return
    with pytest.raises(CrildError, match="2 heads and the teacher 4; use `--features qkv`"):
        plan(tiny_teacher, film_data, tmp_path, **options)
    run = plan(tiny_teacher, film_data, tmp_path, **options, features="qkv")
    assert run.student.config.num_attention_heads == 2


@pytest.mark.parametrize(("weights", "said"), [("sliced", "sliced to width 16"), ("fresh", "fresh weights")])
def test_narrower_students_say_where_their_weights_come_from(weights, said, tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="kd", student_width=16, student_weights=weights)
    assert said in run.student_init
    assert run.student.config.hidden_size == 16


def test_a_narrower_student_cannot_have_the_teachers_head(tiny_teacher, film_data, tmp_path):
    with pytest.raises(CrildError, match="another shape"):
        plan(tiny_teacher, film_data, tmp_path, method="kd", student_width=16, student_head="teacher")


def test_features_bring_their_own_map(tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="cr-ild", features="ckd")
    assert run.objective.layer_map.name == "uniform"
    assert "layer_distances" in run.objective.terms


def test_an_objective_without_a_gradient_is_refused_before_training(tiny_teacher, film_data, tmp_path):
    try:

        @crild.objective("constant")
        def constant(student, teacher, mask):
            return (student.hidden.detach() - teacher.hidden).square().mean(-1)

        with pytest.raises(CrildError, match="does not depend on the student"):
            plan(tiny_teacher, film_data, tmp_path, method="l-ild", features="constant")
    finally:
        OBJECTIVES.pop("constant", None)


def test_held_out_rows_for_choices_never_touch_validation(tiny_teacher, film_data, tmp_path):
    run = plan(tiny_teacher, film_data, tmp_path, method="kd", validation="held-out")
    assert list(run.validation) == ["held out"]
    assert len(run.train) + len(run.selection) + len(run.validation["held out"]) == 160
