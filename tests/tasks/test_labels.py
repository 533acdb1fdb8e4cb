"""How labels are read, and how they align with a teacher's."""

import json

import pytest

from crild.errors import CrildError
from crild.tasks.labels import align_labels, parse_label_map
from crild.tasks.registry import TASK_TYPES
from tests.data.files import load, write


@pytest.mark.parametrize("name", ["classification", "regression"])
def test_lists_are_no_labels_where_a_row_has_one(name):
    with pytest.raises(CrildError, match=f"lists of labels, and a {name} task has one a row"):
        TASK_TYPES[name].read(["1", ["1", "2"]], "data.jsonl, labels")


def test_labels_align_by_name_whatever_their_order_and_spelling():
    found = align_labels(["entailment", "not_entailment"], False, ["Not Entailment", "ENTAILMENT"], {})
    assert (found.index, found.by_index, found.note) == ([1, 0], False, "")


def test_names_that_differ_only_in_punctuation_are_not_mixed_up():
    assert align_labels(["-1", "1"], True, ["-1", "1"], {}).index == [0, 1]
    assert align_labels(["-1", "1"], True, ["1", "-1"], {}).index == [1, 0]
    assert align_labels(["C", "C++"], False, ["C++", "C"], {}).index == [1, 0]


def test_missing_labels_in_any_spelling_are_no_class(tmp_path):
    rows = [{"text": f"t {i}", "label": float("nan") if i % 3 == 0 else i % 2} for i in range(30)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load(tmp_path / "d.jsonl").names == ["0", "1"]
    path = write(tmp_path / "e.csv", "text,label", *(f"t {i}," for i in range(20)))
    task = load(path)
    assert not task.labelled
    assert any("holds no label" in note for note in task.notes)


def test_generic_names_align_by_index_with_a_warning():
    found = align_labels(["neg", "pos"], False, ["LABEL_0", "LABEL_1"], {})
    assert found.index == [0, 1]
    assert found.by_index
    assert "neg=LABEL_0" in found.note
    assert align_labels(["0", "2"], True, ["a", "b", "c"], {}).index == [0, 2]


def test_a_label_map_decides():
    found = align_labels(["0", "1"], True, ["pos", "neg"], parse_label_map("0=neg, 1=pos"))
    assert (found.index, found.by_index) == ([1, 0], False)
    assert align_labels(["good", "bad"], False, ["LABEL_0", "LABEL_1"], {"good": "1", "bad": "LABEL_0"}).index == [1, 0]


@pytest.mark.parametrize(
    ("names", "generic", "teacher", "label_map", "message"),
    [
        (["ham", "spam"], False, ["neg", "pos"], {}, "does not know the labels ham, spam"),
        (["a", "b", "c"], False, ["LABEL_0", "LABEL_1"], {}, "the teacher only 2"),
        (["a", "b"], False, ["a", "b"], {"x": "a"}, "the data has no label 'x'"),
        (["a", "b"], False, ["a", "b"], {"a": "z"}, "the teacher has no label 'z'"),
        (["a", "b"], False, ["a", "b"], {"a": "b"}, "two labels"),
    ],
)
def test_labels_that_do_not_align_are_refused(names, generic, teacher, label_map, message):
    with pytest.raises(CrildError, match=message):
        align_labels(names, generic, teacher, label_map)


@pytest.mark.parametrize("text", ["a", "a=", "=b", "a=b,c"])
def test_label_maps_that_cannot_be_read(text):
    with pytest.raises(CrildError, match="old=new"):
        parse_label_map(text)
