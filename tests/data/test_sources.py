"""Files, folders and hub names: what is read, and what is refused by name."""

import json

import pytest
from datasets import Dataset, DatasetDict

from crild.data.sources import read_source
from crild.errors import CrildError
from tests.data.files import load, write


def test_csv_keeps_words_that_other_readers_drop(tmp_path):
    rows = ['"a ""quoted"", text",yes', "null,no", "NA,yes", "None,no", "nan,yes", *(f"row {i},no" for i in range(10))]
    task = load(write(tmp_path / "d.csv", "text,label", *rows, newline="\r\n"))
    texts = {t for split in (task.train, task.selection, *task.validation.values()) for t in split["text"]}
    assert {'a "quoted", text', "null", "NA", "None", "nan"} <= texts
    assert task.names == ["no", "yes"]


def test_quoted_tsv_from_a_spreadsheet(tmp_path):
    rows = [f'"a\ttab {i}"\t"{"x" if i % 2 else "y"}"' for i in range(10)]
    task = load(write(tmp_path / "d.tsv", '"text"\t"label"', *rows))
    assert all("\t" in text for text in task.train["text"])


def test_jsonl_parquet_and_datasets_directories_give_the_same_task(tmp_path):
    rows = [{"Review": f"row {i}", "Sentiment": "pos" if i % 3 else "neg"} for i in range(30)]
    write(tmp_path / "d.jsonl", *map(json.dumps, rows))
    data = Dataset.from_list(rows)
    data.to_parquet(tmp_path / "d.parquet")
    DatasetDict({"train": data}).save_to_disk(tmp_path / "saved")
    tasks = [load(tmp_path / name) for name in ("d.jsonl", "d.parquet", "saved")]
    for task in tasks[1:]:
        assert task.train["text"][:] == tasks[0].train["text"][:]
        assert task.train["labels"][:] == tasks[0].train["labels"][:]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("header.csv", b"text,label\n", "no rows"),
        ("latin.csv", "text,label\ncaf\xe9,a\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("bad.jsonl", b'{"text": "a", "label": 1}\n{"text": \n', "line 2 is not valid JSON"),
        ("list.jsonl", b"[1, 2]", "JSON object"),
        ("x.parquet", b"nonsense", "Parquet"),
        ("x.xlsx", b"nonsense", "unknown kind of file"),
        ("twice.csv", b"text,text\na,b\n", "appears twice"),
        ("one.csv", b"text,label\n" + b"".join(b"t%d,a\n" % i for i in range(20)), "at least two classes"),
        ("blank.csv", b"text,label\n ,a\n,b\n", "no row has text"),
    ],
)
def test_unusable_files_are_named(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CrildError, match=message) as error:
        load(tmp_path / name)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_missing_paths_are_not_sought_on_the_hub():
    with pytest.raises(CrildError, match=r"no such file or folder: nowhere\.csv"):
        read_source("nowhere.csv")
    with pytest.raises(CrildError, match="no such file or folder"):
        read_source("/not/here")


def test_hub_names_are_loaded_through_datasets(monkeypatch, tmp_path):
    asked = []

    def stand_in(name, configuration):
        asked.append((name, configuration))
        rows = Dataset.from_dict({"sentence": [f"t {i}" for i in range(20)], "label": [i % 2 for i in range(20)]})
        return DatasetDict({"train": rows, "validation": rows, "test": rows})

    monkeypatch.setattr("crild.data.sources.load_dataset", stand_in)
    task = load("nyu-mll/glue:sst2")
    assert asked == [("nyu-mll/glue", "sst2")]
    assert list(task.validation) == ["validation"]
