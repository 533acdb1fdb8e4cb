"""Which columns are texts and labels."""

import json

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from crild.config import DataConfig, FinetuneConfig
from crild.data.columns import normalise, with_usual
from crild.data.sources import read_source
from crild.data.task import load_texts
from crild.errors import CrildError
from tests.data.files import load, write


def test_columns_can_be_named(tmp_path):
    rows = [f"left {i},right {i},{i % 2},{i % 3}" for i in range(20)]
    path = write(tmp_path / "d.csv", "a,b,c,d", *rows)
    task = load(path, text="a", text_pair="b", label="d")
    assert task.names == ["0", "1", "2"]
    assert "text_pair" in task.train.column_names
    with pytest.raises(CrildError, match=r"no column 'bb' \(did you mean 'b'\?\); the columns are a, b, c, d"):
        load(path, text="a", text_pair="bb")
    with pytest.raises(CrildError, match="no text column is recognised among a, b, c, d"):
        load(path)


def test_columns_named_for_data_do_not_bind_other_files(tmp_path):
    body = [f"{i % 2},left {i},right {i}" for i in range(20)]
    data = write(tmp_path / "d.csv", "c,a,b", *body)
    other = write(tmp_path / "v.csv", "label,sentence1,sentence2", *body)
    task = load(data, text="a", text_pair="b", label="c", validation=str(other))
    (rows,) = task.validation.values()
    assert rows[3] == {"row": 3, "text": "left 3", "text_pair": "right 3", "labels": 1.0}
    single = load(data, text="a", label="c", validation=str(other))
    (rows,) = single.validation.values()
    assert rows[3] == {"row": 3, "text": "left 3", "labels": 1.0}

    texts, _ = load_texts(FinetuneConfig(data=str(data), text="a", text_pair="b", label="c"), str(other))
    assert texts[3] == {"text": "left 3", "text_pair": "right 3", "labels": None}
    plain = write(tmp_path / "s.csv", "review", "one", "two")
    texts, _ = load_texts(FinetuneConfig(data=str(data), text="a", text_pair="b", label="c"), str(plain))
    assert texts["text"][:] == ["one", "two"]


@pytest.mark.parametrize(
    ("named", "columns", "expected"),
    [
        ({}, "a b c d", ("a", "b", "c")),
        ({"label": "d"}, "a b c d", ("a", "b", "d")),
        ({"text": "d"}, "a b c d", ("d", None, "c")),
        ({"text": "c"}, "a b c d", ("c", None, None)),  # the run's label is a text here
        ({"label": "b"}, "a b c", (None, None, "b")),
        ({}, "a c", (None, None, "c")),  # a second text alone is missing: the two belong together
        ({}, "x y", (None, None, None)),
    ],
)
def test_a_runs_columns_stand_in_where_nobody_names_any_and_the_data_has_them(named, columns, expected):
    usual = {"text": "a", "text_pair": "b", "label": "c"}
    found = with_usual(DataConfig(**named), usual, columns.split())
    assert (found.text, found.text_pair, found.label) == expected
    several = with_usual(DataConfig(), {"label": "cheap,late"}, ["text", "cheap", "late"])
    assert several.label == "cheap,late"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "label,x,y",
            r"v\.csv: no text column is recognised among label, x, y: it has no column 'a' \(--text\) either",
        ),
        ("label,text,y", r"v\.csv: no second text column is recognised .* no column 'b' \(--text-pair\) either"),
        ("x,text,text_pair", r"v\.csv: no label column is recognised .* no column 'c' \(--label\) either"),
    ],
)
def test_other_files_without_named_or_common_columns_are_refused(header, message, tmp_path):
    body = [f"{i % 2},left {i},right {i}" for i in range(20)]
    data, other = write(tmp_path / "d.csv", "c,a,b", *body), write(tmp_path / "v.csv", header, *body)
    with pytest.raises(CrildError, match=message) as error:
        load(data, text="a", text_pair="b", label="c", validation=str(other))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "text", "text_pair": "text"}, "--text and --text-pair name the same column, 'text'"),
        ({"text": "label", "label": "label"}, "--text and --label name the same column, 'label'"),
        ({"text": "label"}, "--text label names what looks like the label column"),
        ({"text_pair": "text"}, "column 'text' would be the text and the second text"),
        ({"label": "text"}, "column 'text' would be the text and the label"),
    ],
)
def test_one_column_has_one_role(options, message, tmp_path):
    path = write(tmp_path / "d.csv", "text,label", *(f"row {i},{i % 2}" for i in range(30)))
    with pytest.raises(CrildError, match=message) as error:
        load(path, **options)
    assert "\n" not in str(error.value)


def test_a_column_named_like_a_label_may_hold_text(tmp_path):
    path = write(tmp_path / "d.csv", "topic", *(f"row {i}" for i in range(30)))
    assert load(path, text="topic").train["text"][0].startswith("row")


def test_lists_of_labels_survive_reading(tmp_path):
    rows = [{"text": f"t {i}", "label": [["a", "b"], [], None][i % 3]} for i in range(9)]
    path = write(tmp_path / "d.jsonl", *map(json.dumps, rows))
    source = read_source(str(path))
    done = normalise(source.splits["train"], FinetuneConfig(data=str(path)), "d", source)
    assert done["raw_label"][:3] == [["a", "b"], [], None]
    names = Features({"text": Value("string"), "label": List(ClassLabel(names=["ham", "spam"]))})
    coded = Dataset.from_dict({"text": ["t", "u"], "label": [[1, 0], []]}, names)
    assert normalise(coded, FinetuneConfig(), "d", source)["raw_label"][:] == [["spam", "ham"], []]
