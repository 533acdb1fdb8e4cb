"""About how long: all that a stage does is counted, and a busy moment moves nothing."""

from dataclasses import replace

import pytest

from crild.config import StageSettings
from crild.methods import Recipe
from crild.run import estimate
from crild.run.estimate import TimeLeft, per_row, stage_seconds
from crild.run.plan import PlannedStage
from tests.conftest import reviews, write_jsonl
from tests.runs import prepared

TEACHER, STUDENT = (1.0, 3.0), (0.5, 1.5)  # seconds a row: forward, and forward and backward
KD = PlannedStage("kd", "KD", "student", "joined", 320, StageSettings(2, 1e-4, 32), Recipe(distillation=1.0))


def seconds(stage, held_out=10):
    return stage_seconds(stage, TEACHER, STUDENT, held_out, 20.0)


def test_steps_evaluations_and_teacher_logits_are_counted():
    steps, evaluations, logits = 2 * 320 * 1.5, 3 * 10 * 0.5, 320 * 1.0
    assert seconds(KD) == pytest.approx(steps + evaluations + logits)


def test_evaluations_between_epochs_are_counted():
    often = replace(KD, settings=replace(KD.settings, eval_steps=5))
    assert seconds(often) - seconds(KD) == pytest.approx((20 // 5) * 10 * 0.5)


def test_under_a_cap_only_the_rows_of_its_steps_are_counted():
    capped = replace(KD, settings=replace(KD.settings, max_steps=4))
    assert seconds(capped) == pytest.approx(4 * 32 * (1.5 + 1.0) + 2 * 10 * 0.5)


def test_rewrites_ask_the_live_teacher_at_every_step():
    assert seconds(replace(KD, augmented=240)) == pytest.approx(640 * (1.5 + 1.0) + 3 * 10 * 0.5)


def test_a_fold_takes_as_long_as_a_teacher():
    teacher = replace(KD, trains="teacher", on="labelled", recipe=Recipe(task=1.0))
    assert seconds(replace(teacher, trains="fold", fold=1)) == seconds(teacher) == 640 * 3.0 + 3 * 10 * 1.0


def test_interpolated_logits_are_live_and_cost_a_pass_where_another_term_sees_other_inputs():
    mixed = Recipe(distillation=1.0, interpolate_logits=True)
    assert seconds(replace(KD, recipe=mixed), 0) == pytest.approx(640 * (1.5 + 1.0))
    assert seconds(replace(KD, recipe=replace(mixed, task=0.5)), 0) == pytest.approx(640 * (2 * 1.5 + 1.0))


def test_features_need_the_teacher_live_and_consistency_a_second_pass():
    ild = replace(KD, recipe=Recipe(intermediate_weight=1.0, interpolate=True))
    consistent = replace(ild, recipe=replace(ild.recipe, consistency=0.1))
    assert seconds(ild, 0) == pytest.approx(640 * (1.5 + 1.0))
    assert seconds(consistent, 0) == pytest.approx(640 * (1.5 + 1.0 + 0.5))
    padded = replace(ild, settings=replace(ild.settings, pad_to=60))
    assert seconds(padded, 0) == pytest.approx(3 * seconds(ild, 0))


def test_a_burst_of_another_process_does_not_move_the_estimate(tiny_teacher, film_data, tmp_path, monkeypatch):
    run = prepared(tiny_teacher, film_data, tmp_path, method="kd")
    calls = []

    def timed_step(model, batch, precision):
        calls.append(model.config.num_hidden_layers)
        busy = 50.0 if len(calls) in (5, 6, 9) else 1.0
        return 0.1 * busy, 0.3 * busy

    monkeypatch.setattr(estimate, "timed_step", timed_step)
    teacher, student = per_row(run.inputs, run.models, "fp32")
    assert teacher == student == (pytest.approx(0.1 / 32), pytest.approx(0.3 / 32))
    assert calls[:4] == [4, 2, 4, 2]  # the models take turns


def test_long_texts_are_timed_on_fewer_rows(tiny_teacher, tmp_path, monkeypatch):
    rows = [{**row, "text": f"{row['text']} {'good ' * 100}"} for row in reviews(100)]
    run = prepared(tiny_teacher, write_jsonl(tmp_path / "long.jsonl", rows), tmp_path, method="kd")
    shapes = []

    def timed_step(model, batch, precision):
        shapes.append(tuple(batch["input_ids"].shape))
        return 1.0, 3.0

    monkeypatch.setattr(estimate, "timed_step", timed_step)
    monkeypatch.setattr(estimate, "TOKENS", 640)
    teacher, _ = per_row(run.inputs, run.models, "fp32")
    length = max(run.inputs.train["length"][:32])
    assert set(shapes) == {(640 // length, length)}
    assert teacher == (pytest.approx(1 / (640 // length)), pytest.approx(3 / (640 // length)))


def test_the_time_left_is_corrected_by_stages_that_were_done_here():
    left = TimeLeft({"fold-1": 2.0, "ild": 4.0, "kd": 6.0, "scoring": 1.0})
    assert left.minutes() == 13.0
    left.finish("fold-1", None)  # its logits were in the cache: nothing is known of the machine
    assert left.minutes() == 11.0
    left.finish("ild", 6.0)  # half as long again
    assert left.minutes() == pytest.approx(1.5 * 7)
    assert left.minutes(without="kd") == pytest.approx(1.5)
    left.finish("kd", 4.0)  # together as long as estimated
    assert left.minutes() == pytest.approx(1.0)
    assert TimeLeft({}).minutes() == 0.0
