"""The cascade: its curve and threshold where the answer is known, and of a real run."""

import json

import numpy as np
import pytest
from scipy.special import expit

import crild
from crild.errors import CrildError
from crild.metrics import accuracy
from crild.run.cascade import Answered, Rows, cascade_of, curve, find_threshold
from crild.tasks.registry import TASK_TYPES
from tests.conftest import write_jsonl
from tests.tiny import save_tiny

CLASSES, SEVERAL = TASK_TYPES["classification"], TASK_TYPES["multi-label"]


def planted(rows=100, wrong=20, teacher_wrong=0):
    """A student that is wrong exactly on the rows of which it is least sure, and a teacher wrong on the surest."""
    truth = np.arange(rows) % 2
    student, teacher = truth.copy(), truth.copy()
    student[:wrong] = 1 - student[:wrong]
    if teacher_wrong:
        teacher[-teacher_wrong:] = 1 - teacher[-teacher_wrong:]
    return Answered(np.linspace(0.5, 0.995, rows), student, teacher, truth)


def test_a_student_wrong_exactly_where_unsure_gives_the_known_curve():
    points = curve(planted(), accuracy, 2.0, 10.0)
    assert [point["score"] for point in points] == pytest.approx([0.8, 0.85, 0.9, 1, 1, 1, 1, 1])
    assert [point["ms"] for point in points] == pytest.approx([2, 2.5, 3, 4, 5, 7, 9.5, 12])
    assert curve(planted(), accuracy, None, 10.0)[0]["ms"] is None


@pytest.mark.parametrize(("wrong", "teacher_wrong", "handed"), [(20, 0, 20), (20, 5, 15), (5, 5, 0), (0, 9, 0)])
def test_the_threshold_hands_over_no_more_than_nothing_lost_needs(wrong, teacher_wrong, handed):
    rows = planted(wrong=wrong, teacher_wrong=teacher_wrong)
    threshold = find_threshold(rows, accuracy)
    assert rows.below(threshold).sum() == handed
    assert (threshold == 0) == (handed == 0)


def test_no_threshold_where_the_surest_answer_is_wrong_or_all_are_as_sure():
    rows = planted()
    student = rows.truth.copy()
    student[-1] = 1 - student[-1]
    sure_and_wrong = Answered(rows.confidence, student, rows.teacher, rows.truth)
    assert find_threshold(sure_and_wrong, accuracy) is None
    assert sure_and_wrong.below(None).all()
    assert find_threshold(Answered(np.full(100, 0.9), student, rows.teacher, rows.truth), accuracy) is None


def separable(rows, seed, noise):
    """Two classes; the student's logits say less than the truth's did, the teacher is always right."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, rows)
    truth = (rng.random(rows) < expit(logit)).astype(int)
    return Rows(np.stack([0 * logit, logit * noise], 1), truth, truth)


def test_temperature_and_threshold_are_of_the_selection_rows_and_scores_of_the_others():
    selection, held_out = separable(4000, 0, 3.0), separable(4000, 1, 3.0)
    found = cascade_of(CLASSES, "accuracy", accuracy, selection, held_out, 1.0, 9.0)
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.calibration_error["after"] < 0.04 < found.calibration_error["before"] / 2
    assert found.rows == {"selection": 4000, "held_out": 4000}
    assert found.teacher == 1
    assert found.student == pytest.approx(accuracy(held_out.truth, held_out.logits.argmax(-1)))
    confidence = CLASSES.confidence(held_out.logits / found.temperature)
    assert found.share == np.mean(confidence < found.threshold)
    kept_and_wrong = (confidence >= found.threshold) & (held_out.logits.argmax(-1) != held_out.truth)
    assert found.score == pytest.approx(1 - kept_and_wrong.mean())
    assert found.ms == pytest.approx(1 + 9 * found.share)
    assert found.curve[0]["score"] == found.student
    other = cascade_of(CLASSES, "accuracy", accuracy, selection, separable(50, 2, 1.0))
    assert (other.temperature, other.threshold) == (found.temperature, found.threshold)
    assert other.ms is None
    assert "ms" not in other.table()


def test_what_it_says():
    held_out = separable(200, 1, 1.0)

    def say(selection):
        return str(cascade_of(CLASSES, "accuracy", accuracy, selection, held_out, 4.0, 9.0))

    some = say(held_out)
    assert "chosen on the 200 selection rows as the lowest at which nothing is lost there" in some
    assert "no faster than the teacher alone" in some  # most texts go there
    equal = Rows(held_out.logits, held_out.logits.argmax(-1), held_out.truth)
    assert "threshold 0: on the 200 selection rows the student alone loses nothing" in say(equal)
    flat = Rows(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]), np.array([0, 1]))
    assert "no threshold: on the 2 selection rows nothing is lost only where every text goes" in say(flat)


def test_of_several_labels_a_text_is_as_sure_as_its_least_sure_one():
    logits = np.array([[4.0, -0.1], [-2.0, 3.0]])
    assert SEVERAL.confidence(logits) == pytest.approx([expit(0.1), expit(2.0)])
    truth = np.array([[1.0, 1.0], [0.0, 1.0]])  # the student misses the label of which it is not sure
    rows = Rows(np.tile(logits, (50, 1)), np.tile(truth, (50, 1)), np.tile(truth, (50, 1)))
    found = cascade_of(SEVERAL, "subset_accuracy", SEVERAL.metrics["subset_accuracy"], rows, rows)
    assert (found.student, found.score, found.share) == (0.5, 1.0, 0.5)


@pytest.mark.parametrize("task_type", [CLASSES, SEVERAL])
def test_what_a_run_keeps_is_read_back(task_type):
    logits = np.random.default_rng(0).normal(0, 3, (30, 3))
    names = ["0", "b c", "ü"]
    again = task_type.logits(task_type.probabilities(logits))
    assert task_type.probabilities(again) == pytest.approx(task_type.probabilities(logits))
    assert np.isfinite(task_type.logits(np.array([[1.0, 0.0]]))).all()
    answers = task_type.answers(logits)
    assert (task_type.coded(task_type.spelled(answers, names), names) == answers).all()


def test_a_runs_cascade_starts_at_its_student_and_ends_at_its_teacher(tiny_teacher, film_data, tmp_path):
    options = {"teacher": tiny_teacher, "student": 1, "method": "kd", "max_steps": 3, "control": False}
    result = crild.distill(data=film_data, output=tmp_path / "run", **options)
    found = crild.cascade(tmp_path / "run")
    assert found.student == pytest.approx(result["student"]["score"])
    assert found.teacher == pytest.approx(result["teacher"]["score"])
    assert (found.curve[0]["score"], found.curve[-1]["score"]) == (found.student, found.teacher)
    assert found.ms == pytest.approx(result["student"]["latency_ms"] + found.share * result["teacher"]["latency_ms"])
    assert json.loads(json.dumps(found.to_dict()))["threshold"] == found.threshold

    texts = write_jsonl(tmp_path / "texts.jsonl", [{"text": f"good film {n} bad"} for n in range(60)])
    crild.distill(data=texts, output=tmp_path / "unlabelled", **options)
    found = crild.cascade(crild.RunFolder.open(tmp_path / "unlabelled"))
    assert (found.metric, found.teacher) == ("agreement", 1)


def test_a_regression_and_a_fine_tuning_are_refused(tiny_teacher, tmp_path):
    with pytest.raises(CrildError, match="it fine-tuned a teacher; a cascade needs a run with a student"):
        crild.cascade(tiny_teacher.parent)
    scored = save_tiny(tmp_path / "scored", head=True, labels=("score",), problem_type="regression")
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"text": f"good {n}", "score": n / 7} for n in range(40)])
    crild.distill(teacher=scored, data=rows, label="score", student=1, method="kd", max_steps=1, control=False,
                  output=tmp_path / "run")  # fmt: skip
    with pytest.raises(CrildError, match="a regression has no confidence"):
        crild.cascade(tmp_path / "run")
