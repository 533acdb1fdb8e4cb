"""Files, folders and hub names: what is read, and what is refused by name."""

import json

import pytest
from datasets import Dataset, DatasetDict

from crild.data.sources import csv_header, read_source
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


def test_missing_paths_are_not_sought_on_the_hub():
    with pytest.raises(CrildError, match=r"no such file or folder: nowhere\.csv"):
        read_source("nowhere.csv")
    with pytest.raises(CrildError, match="no such file or folder"):
        read_source("/not/here")


def test_hub_names_are_loaded_through_datasets(monkeypatch, tmp_path):
    asked = []

    def stand_in(name, configuration, revision):
        asked.append((name, configuration))
        rows = Dataset.from_dict({"sentence": [f"t {i}" for i in range(20)], "label": [i % 2 for i in range(20)]})
        return DatasetDict({"train": rows, "validation": rows, "test": rows})

    monkeypatch.setattr("crild.data.sources.load_dataset", stand_in)
    task = load("nyu-mll/glue:sst2")
    assert asked == [("nyu-mll/glue", "sst2")]
    assert list(task.validation) == ["validation"]


def read(path):
    source = read_source(str(path))
    return source.splits["train"], source.notes


def test_rows_of_another_width_are_refused_with_their_lines_and_the_cure(tmp_path):
    body = [*(f"t {i},a" for i in range(40)), '"two', 'lines",b', "one, two,b", *(f"t {i},b" for i in range(40))]
    path = write(tmp_path / "d.csv", "text,label", *body, "x, y,b")
    message = r'2 of 83 rows .* 2 columns \(lines 44, 85\): .* "quotation marks", or use another delimiter'
    with pytest.raises(CrildError, match=message) as error:
        read(path)
    assert "\n" not in str(error.value)


def test_few_rows_of_another_width_are_dropped_with_a_note(tmp_path):
    path = write(tmp_path / "d.csv", "text,label", *(f"t {i},a" for i in range(300)), "short", "x, y,b")
    rows, notes = read(path)
    assert len(rows) == 300
    assert any("2 rows dropped" in note for note in notes)


def test_a_lost_quotation_mark_is_not_one_bad_row(tmp_path):
    path = write(tmp_path / "d.csv", "text,label", *["good,a"] * 300, '"lost,b', *["bad,b"] * 300)
    with pytest.raises(CrildError, match=r"301 of 601 rows .*\(line 302\)"):
        read(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_of_a_csv_file_is_the_one_of_its_header(delimiter, tmp_path):
    rows = [f'"a, b; c {i}"{delimiter}{i % 2}{delimiter}x' for i in range(4)]
    data, _ = read(write(tmp_path / "d.csv", delimiter.join(['"text; or, so"', "label", "more"]), *rows))
    assert data.column_names == ["text; or, so", "label", "more"]
    assert data[0] == {"text; or, so": "a, b; c 0", "label": "0", "more": "x"}


def test_a_cell_may_be_as_long_as_it_likes(tmp_path):
    long = "word " * 40_000
    for name, line in (("d.csv", f'"{long}",a'), ("d.tsv", f"{long}\ta")):
        rows, _ = read(write(tmp_path / name, line[-2].join(["text", "label"]), line))
        assert rows["text"][0] == long


def test_old_line_ends_and_blank_files(tmp_path):
    assert len(read(write(tmp_path / "old.csv", "text,label", "a,x", "b,y", newline="\r"))[0]) == 2
    with pytest.raises(CrildError, match="the file is empty"):
        read(write(tmp_path / "blank.csv", "", ""))


def test_a_stray_carriage_return_breaks_no_row_of_a_tsv_file(tmp_path):
    rows, notes = read(write(tmp_path / "d.tsv", "text\tlabel", "one\rtwo\ta", "three\tb"))
    assert [text.split() for text in rows["text"]] == [["one", "two"], ["three"]]
    assert not notes


def test_labels_are_read_as_they_stand(tmp_path):
    rows, _ = read(write(tmp_path / "d.csv", "text,label", "a,~", "b,~root", "c,NA", "d,1.0"))
    assert rows["label"][:] == ["~", "~root", "NA", "1.0"]


def test_parquet_is_read_without_a_copy_in_any_cache(tmp_path, monkeypatch):
    Dataset.from_dict({"text": ["a"], "label": [1]}).to_parquet(tmp_path / "d.parquet")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    assert read(tmp_path / "d.parquet")[0]["text"][:] == ["a"]
    assert not (tmp_path / "cache").exists()


def test_a_revision_is_for_the_hub(tmp_path, monkeypatch):
    path = write(tmp_path / "d.csv", "text,label", "a,x")
    with pytest.raises(CrildError, match="a revision is for data sets on the hub"):
        read_source(str(path), "main")
    asked = {}
    monkeypatch.setattr(
        "crild.data.sources.load_dataset",
        lambda *_, **options: asked.update(options) or Dataset.from_dict({"text": ["a"]}),
    )
    read_source("owner/name", "v2")
    assert asked == {"revision": "v2"}


def test_a_csv_files_columns_by_its_first_line(tmp_path):
    path = tmp_path / "a.csv"
    for content, columns in (
        (b'\xef\xbb\xbf"said, of it";verdict\r\ngood;pos\r\n', ["said, of it", "verdict"]),
        (b"\ntext,label\ngood,pos,more\n", ["text", "label"]),
        (b'"text\nof it",label\ngood,pos\n', None),  # the header has two lines
        ("Größe,label\n".encode("latin-1"), None),  # whoever reads all of it says which line is no UTF-8
    ):
        path.write_bytes(content)
        assert csv_header(path) == columns
