"""Several classes a row: how labels are read, losses in closed form, and a data set from CSV to report row."""

import json
import math
import random

import numpy as np
import pandas as pd
import pytest
import torch

import crild
from crild.errors import CrildError
from crild.reporting.table import result_rows
from crild.tasks.registry import TASK_TYPES, task_type_of_labels
from tests.conftest import write_jsonl
from tests.tiny import WORDS, save_tiny

TASK = TASK_TYPES["multi-label"]
WORD_OF = {"warm": "good", "cold": "bad", "long": "film"}  # a label applies where its word is there


def rows(count, seed=0):
    rng = random.Random(seed)
    texts = [" ".join(rng.choices([*WORD_OF.values(), *WORDS[:9]], k=rng.randint(1, 6))) for _ in range(count)]
    return [{"text": text, "labels": [n for n, word in WORD_OF.items() if word in text.split()]} for text in texts]


def write_csv(path, records):
    frame = pd.DataFrame({"text": [r["text"] for r in records]})
    for name in WORD_OF:
        frame[name] = [int(name in r["labels"]) for r in records]
    frame.to_csv(path, index=False)
    return path


def test_labels_are_lists_of_names_in_any_spelling():
    read = TASK.read([["b", "a"], [], None, '["c"]', "a|c"], "x")
    assert read.names == ["a", "b", "c"]
    assert read.values == [[1, 1, 0], [0, 0, 0], None, [0, 0, 1], [1, 0, 1]]
    assert task_type_of_labels([["a"], None, []]).name == "multi-label"
    with pytest.raises(CrildError, match="at least two different labels"):
        TASK.read([["a"], []], "x")
    assert TASK.aligned([1.0, 0.0], [2, 0], 4) == [0.0, 0.0, 1.0, 0.0]
    assert TASK.counts(read.values, read.names) == {"a": 2, "b": 1, "c": 2}


def test_the_loss_is_binary_and_counts_labelled_rows_alone():
    logits = torch.tensor([[0.0, 0.0], [1.0, -1.0], [9.0, 9.0]])
    nan = float("nan")
    total, count = TASK.loss(logits, torch.tensor([[1.0, 0.0], [1.0, 1.0], [nan, nan]]))
    expected = math.log(2) + (math.log(1 + math.exp(-1)) + math.log(1 + math.e)) / 2
    assert (float(total), int(count)) == (pytest.approx(expected, rel=1e-6), 2)
    total, count = TASK.loss(logits, torch.tensor([nan, nan, nan]))  # a batch without any label has no classes
    assert (float(total), int(count)) == (0.0, 0)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_distillation_is_a_divergence_of_each_class(temperature):
    student, teacher = torch.tensor([[0.3, -1.0]]), torch.tensor([[2.0, 0.5]])
    expected = 0.0
    for s, t in zip(student[0].tolist(), teacher[0].tolist(), strict=True):
        q, p = (1 / (1 + math.exp(-z / temperature)) for z in (s, t))
        expected += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    total, count = TASK.distillation(student, teacher, temperature)
    assert (float(total), int(count)) == (pytest.approx(temperature**2 * expected / 2, rel=1e-5), 1)
    assert float(TASK.distillation(teacher, teacher, temperature)[0]) == pytest.approx(0.0, abs=1e-7)


def test_scores_in_closed_form():
    truth = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 0]], float)
    answers = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], float)
    scores = {name: TASK.find_metric(name, 3)(truth, answers) for name in TASK.metrics}
    assert scores == {
        "micro_f1": pytest.approx(2 * 3 / (2 * 3 + 1 + 1)),
        "macro_f1": pytest.approx((1 + 2 / 3 + 0) / 3),
        "subset_accuracy": pytest.approx(1 / 3),
    }
    assert TASK.answers(np.array([[0.1, -0.1]])).tolist() == [[1.0, 0.0]]
    assert TASK.probabilities(np.array([[0.0]])) == pytest.approx(0.5)
    assert TASK.spelled([answers[2], None], ["a", "b", "c"]) == [["a", "b"], None]
    assert TASK.constant(truth)[0].tolist() == [1.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("labels")
    write_csv(folder / "train.csv", rows(200))
    write_csv(folder / "validation.csv", rows(60, seed=1))
    options = {"data": str(folder), "label": ",".join(WORD_OF), "student": 3, "method": "cr-ild", "epochs": 12}
    rates = {"finetune_learning_rate": 3e-3, "ild_learning_rate": 3e-3, "kd_learning_rate": 3e-3}
    return crild.distill(teacher=str(tiny), output=str(folder / "run"), **options, **rates), folder / "run"


def test_a_data_set_runs_from_csv_to_report_row(finished):
    result, path = finished
    assert (result["kind"], result["metric"], result["labels"]) == ("multi-label", "micro_f1", sorted(WORD_OF))
    assert [row.name for row in result_rows(result.to_dict())] == [
        "teacher", "student without teacher", "student, cr-ild", "always the same answer"
    ]  # fmt: skip
    assert result["teacher"]["score"] > result["constant"]["score"] + 0.1
    predictions = crild.RunFolder.open(path).predictions
    assert sorted(predictions["label"][0]) == sorted(rows(60, seed=1)[0]["labels"])
    right = [set(a) == set(b) for a, b in zip(predictions["student"], predictions["label"], strict=True)]
    assert np.mean(right) == pytest.approx(result["student"]["scores"]["subset_accuracy"])


def test_the_student_is_an_ordinary_multi_label_model(finished, tmp_path):
    from transformers import pipeline

    result, path = finished
    classify = pipeline("text-classification", model=str(path / "student"), top_k=None)
    said = {each["label"]: each["score"] for each in classify("good good")[0]}
    assert set(said) == set(WORD_OF)
    lists = write_jsonl(tmp_path / "lists.jsonl", rows(60, seed=1))  # the same rows as lists of names
    scored = crild.evaluate(model=str(path / "student"), data=str(lists))
    assert scored["score"] == pytest.approx(result["student"]["score"])


@pytest.mark.parametrize("method", ["ted", "mixkd", "minilmv2"])
def test_terms_that_look_at_labels_take_them(method, tiny, tmp_path):
    path = write_jsonl(tmp_path / "d.jsonl", [*rows(60), {"text": "a film", "labels": None}])
    schedule = "paper" if method == "mixkd" else "two-stage"
    result = crild.distill(
        teacher=str(tiny), data=str(path), student=2, method=method, schedule=schedule, max_steps=2,
        label_noise=0.2, output=str(tmp_path / "run"),
    )  # fmt: skip
    assert result["kind"] == "multi-label"
    for line in (tmp_path / "run/stages").glob("*/steps.jsonl"):
        assert all(math.isfinite(json.loads(each)["loss"]) for each in line.open())


def test_a_multi_label_teacher_keeps_its_labels_in_its_order(tmp_path):
    from transformers import BertForSequenceClassification

    folder = save_tiny(tmp_path / "t", head=True, labels=("long", "other", "cold", "warm"))
    model = BertForSequenceClassification.from_pretrained(folder)
    model.config.problem_type = "multi_label_classification"
    model.save_pretrained(folder)
    path = write_csv(tmp_path / "d.csv", rows(60))
    result = crild.distill(
        teacher=str(folder), data=str(path), label="warm,cold,long", student=2, method="kd", max_steps=1,
        output=str(tmp_path / "run"),
    )  # fmt: skip
    assert result["labels"] == ["long", "other", "cold", "warm"]
