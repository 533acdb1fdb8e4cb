"""Rows to report on, and rows to choose on."""

import numpy as np
import pytest

from crild.config import ExportConfig
from crild.errors import CrildError
from crild.run.classifier import load_classifier
from crild.run.folder import RunFolder
from crild.run.targets import AGREEMENT
from crild.serving.rows import read_rows
from tests.conftest import reviews, write_jsonl


@pytest.fixture(scope="module")
def classifier(pieces):
    return load_classifier(str(pieces), "model", ExportConfig())


def test_in_fp32_nothing_is_chosen_and_all_rows_are_reported(classifier, film_data):
    rows, selection, notes = read_rows(ExportConfig(data=str(film_data)), classifier, None, None)
    assert (rows.texts, selection, notes) == ([row["text"] for row in reviews(60, seed=1)], None, [])
    assert rows.metric == "accuracy"
    assert rows.truth.tolist() == [int(row["label"] == "pos") for row in reviews(60, seed=1)]


def test_what_is_chosen_on_is_not_reported(classifier, film_data):
    config = ExportConfig(data=str(film_data), quantize="int8")
    rows, selection, _ = read_rows(config, classifier, None, None)
    assert not set(rows.texts) & set(selection.texts)
    assert sorted(rows.texts + selection.texts) == sorted(row["text"] for row in reviews(60, seed=1))
    again, _, _ = read_rows(config, classifier, None, None)
    assert again.texts == rows.texts
    labels = {row["text"]: int(row["label"] == "pos") for row in reviews(60, seed=1)}
    for part in (rows, selection):
        assert part.truth.tolist() == [labels[text] for text in part.texts]


def test_a_run_has_rows_of_its_own_and_chooses_on_them_whatever_is_reported(student_run, classifier, tmp_path):
    opened = RunFolder.open(student_run)
    rows, selection, _ = read_rows(ExportConfig(quantize="int8"), classifier, opened, None)
    assert len(rows.rows) == 60
    assert len(selection.rows) == 16
    data = write_jsonl(tmp_path / "more.jsonl", reviews(9, seed=8))
    others, same, _ = read_rows(ExportConfig(data=str(data), quantize="int8"), classifier, opened, None)
    assert others.texts == [row["text"] for row in reviews(9, seed=8)]
    assert same.texts == selection.texts


def test_rows_without_labels_are_held_against_the_models_own_answers(classifier, tmp_path):
    data = write_jsonl(tmp_path / "texts.jsonl", [{"text": row["text"]} for row in reviews(9, seed=8)])
    rows, _, _ = read_rows(ExportConfig(data=str(data)), classifier, None, None)
    assert rows.metric == AGREEMENT
    assert np.array_equal(rows.truth, classifier.logits(rows.rows, None).argmax(-1))


def test_pairs_stay_pairs(classifier, tmp_path):
    data = write_jsonl(tmp_path / "pairs.jsonl", [{"premise": "a", "hypothesis": "b", "label": "pos"}] * 2)
    rows, _, _ = read_rows(ExportConfig(data=str(data)), classifier, None, None)
    assert rows.texts == [("a", "b")] * 2


def test_no_rows_or_too_few_are_refused(classifier, tmp_path):
    with pytest.raises(CrildError, match="--data is missing"):
        read_rows(ExportConfig(), classifier, None, None)
    data = write_jsonl(tmp_path / "one.jsonl", [{"text": "good", "label": "pos"}])
    with pytest.raises(CrildError, match="too few rows to choose a quantisation"):
        read_rows(ExportConfig(data=str(data), quantize="int8"), classifier, None, None)
