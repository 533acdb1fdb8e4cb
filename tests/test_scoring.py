"""Scoring a saved classifier."""

import json
import shutil

import pytest

import crild
from crild.errors import CrildError
from tests.conftest import save_tiny, write_jsonl


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


def test_a_run_stands_for_its_student(tiny_teacher, film_data, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copytree(tiny_teacher, tmp_path / "run" / "student")
    with pytest.raises(CrildError, match="run"):  # not finished: it has no result
        crild.evaluate(model=tmp_path / "run", data=film_data)
    (tmp_path / "run" / "result.json").write_text("{}")
    found = crild.evaluate(model=tmp_path / "run", data=film_data)
    assert found["score"] == crild.evaluate(model=tiny_teacher, data=film_data)["score"]
