"""Labels that are probably wrong: planted ones are found."""

import sys

import numpy as np
import pytest

from crild.data.suspects import suspects
from crild.errors import CrildError
from tests.data.patients import graded, healthy, task_of

PLANTED = range(0, 400, 19)


def planted():
    rows = healthy(400)
    for i in PLANTED:
        rows[i]["label"] = {"no": "yes", "yes": "no"}[rows[i]["label"]]
    return rows


def test_of_planted_wrong_labels_most_are_found_and_nothing_else(tmp_path):
    pytest.importorskip("cleanlab")
    rows = planted()
    task = task_of(tmp_path, rows)
    found = suspects(task)
    there = {*task.train["text"], *task.selection["text"]}
    wrong = {rows[i]["text"] for i in PLANTED} & there
    assert {each.text for each in found} <= wrong
    assert len(found) > 0.8 * len(wrong)
    assert all(each.suggested in each.text and each.label not in each.text.split() for each in found)
    assert [each.score for each in found] == sorted(each.score for each in found)
    assert all(rows[each.row]["text"] == each.text and rows[each.row]["label"] == each.label for each in found)
    judged = [*task.train["row"], *task.selection["row"]]
    assert list(found.scores) == sorted(judged)
    assert all(found.scores[each.row] == each.score for each in found)


def test_the_worst_print_as_a_table_and_all_of_them_are_in_it(tmp_path):
    pytest.importorskip("cleanlab")
    found = suspects(task_of(tmp_path, planted()))
    table = found.table()
    assert list(table.columns) == ["text", "label", "suggested", "score"]
    assert table.index.tolist() == [each.row for each in found]
    title, heading, _, *lines = str(found).splitlines()
    assert title.startswith(f"classification: {len(found)} of ")
    assert heading.split() == ["text", "label", "suggested", "score"]
    assert [int(line.split()[0]) for line in lines[:-2]] == [each.row for each in found[:10]]
    assert "the 10 worst are printed" in lines[-2]


def test_embeddings_say_it_too(tmp_path):
    pytest.importorskip("cleanlab")
    rows = planted()
    task = task_of(tmp_path, rows)
    texts = [*task.train["text"], *task.selection["text"]]
    noise = np.random.default_rng(0).normal(0, 0.1, (len(texts), 4))
    embeddings = noise + [[1.0, -1.0, 0, 0] if "yes" in text else [-1.0, 1.0, 0, 0] for text in texts]
    found = suspects(task, embeddings)
    wrong = {rows[i]["text"] for i in PLANTED} & set(texts)
    assert {each.text for each in found} <= wrong
    assert len(found) > 0.8 * len(wrong)


def test_what_cannot_be_ranked(tmp_path, monkeypatch):
    with pytest.raises(CrildError, match="regression task"):
        suspects(task_of(tmp_path, graded()))
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(
        CrildError, match=r"suspicious: it needs cleanlab: pip install '\.\[check\]' in crild's source folder$"
    ):
        suspects(task_of(tmp_path, healthy()))


def test_a_class_of_too_few_texts_is_left_out(tmp_path):
    pytest.importorskip("cleanlab")
    rows = [*healthy(60), *({"text": f"odd {i}", "label": "odd"} for i in range(2))]
    assert "odd" not in {each.label for each in suspects(task_of(tmp_path, rows))}
    rows = [*({"text": f"one {i}", "label": "one"} for i in range(60)), {"text": "odd", "label": "odd"}]
    with pytest.raises(CrildError, match="two classes with at least 5"):
        suspects(task_of(tmp_path, rows))
