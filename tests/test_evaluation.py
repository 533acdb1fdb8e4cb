"""Metrics, intervals, predictions, and what they cost."""

import json

import numpy as np
import pytest

import crild
from crild.errors import CrildError
from crild.metrics import METRICS, all_scores, bootstrap_interval, find_metric, to_output
from tests.conftest import save_tiny, write_jsonl

TRUTH = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
OUTPUT = np.array([1.0, 0.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 3 / 5),
        ("f1", 2 / 3),
        ("accuracy_f1", (3 / 5 + 2 / 3) / 2),
        ("macro_f1", (2 / 3 + 1 / 2) / 2),
        ("matthews", 1 / 6),
    ],
)
def test_classification_closed_forms(name, value):
    assert find_metric(name, "classification", 2)(TRUTH, OUTPUT) == pytest.approx(value)


def test_f1_is_about_the_positive_class():
    flipped = find_metric("f1", "classification", 2, positive=0)
    assert flipped(TRUTH, OUTPUT) == pytest.approx(1 / 2)
    assert find_metric("f1", "classification", 2)(1 - TRUTH, 1 - OUTPUT) == flipped(TRUTH, OUTPUT)


def test_correlations():
    x = np.array([1.0, 2.0, 3.0, 10.0])
    assert find_metric("spearman", "regression", 1)(x, x**3) == pytest.approx(1.0)
    assert find_metric("pearson", "regression", 1)(x, -x) == pytest.approx(-1.0)
    assert find_metric("pearson_spearman", "regression", 1)(x, np.ones(4)) == 0.0


def test_metrics_that_do_not_fit_are_refused():
    with pytest.raises(CrildError, match="use macro_f1"):
        find_metric("f1", "classification", 3)
    assert set(all_scores(TRUTH, np.eye(3)[[0, 1, 2, 0, 1]])) == {"accuracy", "macro_f1", "matthews"}
    assert set(all_scores(TRUTH, OUTPUT[:, None])) == set(METRICS["regression"])


def test_outputs_are_classes_or_numbers():
    assert to_output(np.array([[0.1, 0.9], [2.0, 1.0]])).tolist() == [1, 0]
    assert to_output(np.array([[0.5], [1.5]])).tolist() == [0.5, 1.5]


def test_interval_covers_the_binomial_one():
    rng = np.random.default_rng(1)
    truth, output = np.zeros(1000), (rng.random(1000) < 0.2).astype(float)
    low, high = bootstrap_interval(METRICS["classification"]["accuracy"], truth, output)
    score = float(np.mean(output == 0))
    half = 1.96 * (score * (1 - score) / 1000) ** 0.5
    assert low == pytest.approx(score - half, abs=0.006)
    assert high == pytest.approx(score + half, abs=0.006)


def test_evaluate_takes_all_rows_of_a_file_and_any_label_order(tiny_teacher, film_data, tmp_path):
    whole = crild.evaluate(model=tiny_teacher, data=film_data)
    rows = [json.loads(line) for line in (film_data / "validation.jsonl").open()]
    alone = crild.evaluate(model=tiny_teacher, data=write_jsonl(tmp_path / "a.jsonl", rows))
    assert (alone["rows"], alone["score"]) == (60, whole["score"])
    coded = [{"text": r["text"], "label": int(r["label"] == "neg")} for r in rows]
    path = write_jsonl(tmp_path / "b.jsonl", coded)
    mapped = crild.evaluate(model=tiny_teacher, data=path, label_map="1=neg,0=pos", metric="f1")
    positive = crild.evaluate(model=tiny_teacher, data=path, label_map="1=neg,0=pos", metric="macro_f1")
    assert mapped["scores"]["accuracy"] == whole["score"]
    assert positive["score"] == pytest.approx(whole["scores"]["macro_f1"])
    assert mapped["score"] == pytest.approx(2 * whole["scores"]["macro_f1"] - whole["scores"]["f1"])  # F1 of "neg"


def test_evaluate_refuses_models_without_a_trained_head_and_data_without_labels(
    tmp_path, tiny, tiny_teacher, film_data
):
    with pytest.raises(CrildError, match="no trained classification head"):
        crild.evaluate(model=tiny, data=film_data)
    path = write_jsonl(tmp_path / "t.jsonl", [{"text": "good film"}, {"text": "bad film"}])
    with pytest.raises(CrildError, match="no labels to score against"):
        crild.evaluate(model=tiny_teacher, data=path)
    regression = save_tiny(tmp_path / "r", head=True, labels=("score",))
    with pytest.raises(CrildError):
        crild.evaluate(model=regression, data=film_data)


def test_texts_longer_than_the_model_takes_are_cut(tiny_teacher, tmp_path):
    rows = [{"text": "good film " * 200, "label": "pos"}, {"text": "bad film", "label": "neg"}]
    path = write_jsonl(tmp_path / "long.jsonl", rows)
    assert crild.evaluate(model=tiny_teacher, data=path, max_length=1000)["rows"] == 2
