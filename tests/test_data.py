"""Sources, columns, labels, splits."""

import json
from collections import Counter

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from crild.config import DataConfig
from crild.data.labels import align_labels, parse_label_map, read_labels
from crild.data.sources import read_source
from crild.data.task import load_task, load_texts
from crild.errors import CrildError


def load(path, **options):
    return load_task(DataConfig(data=str(path), **options))


def write(path, *lines, newline="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(newline.join([*lines, ""]).encode())
    return path


# ---- GLUE's official layout, all eight tasks ----

PADDING = [[f"filler {i}", f"other {i}"] for i in range(12)]


def glue_folder(root, name):
    """Write a task as GLUE ships it, with stray quotation marks, which are not quoting there."""
    pairs = [['He said "no', 'the "end'], *PADDING]
    if name == "CoLA":
        lines = [f"gj04\t{i % 2}\t{'*' if i % 2 == 0 else ''}\t{a} {b}" for i, (a, b) in enumerate(pairs)]
    elif name == "SST-2":
        lines = ["sentence\tlabel", *(f"{a} {b} \t{i % 2}" for i, (a, b) in enumerate(pairs))]
    elif name == "MRPC":
        lines = ["\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        lines += [f"{i % 2}\t{i}\t{i + 100}\t{a}\t{b}" for i, (a, b) in enumerate(pairs)]
    elif name == "QQP":
        lines = ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "1\t2\t3\tbroken"]
        lines += [f"{i}\t{i}\t{i}\t{a}\t{b}\t{i % 2}" for i, (a, b) in enumerate(pairs)]
    elif name == "STS-B":
        lines = ["index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore"]
        lines += [f"{i}\tnews\tf\t2012\t{i}\tnone\tnone\t{a}\t{b}\t{i % 5}.250" for i, (a, b) in enumerate(pairs)]
    elif name == "MNLI":
        lines = ["index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse"
                 "\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label"]  # fmt: skip
        names = ("neutral", "contradiction", "entailment")
        lines += [f"{i}\t1\t2\tg\tp\tp\tp\tp\t{a}\t{b}\tx\t{names[i % 3]}" for i, (a, b) in enumerate(pairs)]
    else:
        first, second = ("question", "sentence") if name == "QNLI" else ("sentence1", "sentence2")
        lines = [f"index\t{first}\t{second}\tlabel"]
        names = ("not_entailment", "entailment")
        lines += [f"{i}\t{a}\t{b}\t{names[i % 2]}" for i, (a, b) in enumerate(pairs)]
    folder = root / name
    for split in ("train", "dev_matched", "dev_mismatched") if name == "MNLI" else ("train", "dev"):
        write(folder / f"{split}.tsv", *lines)
    write(folder / "test.tsv", "index\tsentence", "0\tno label here")
    return folder


EXPECTED = {
    "CoLA": ("matthews", ["unacceptable", "acceptable"], 64),
    "SST-2": ("accuracy", ["negative", "positive"], 64),
    "MRPC": ("accuracy_f1", ["not_equivalent", "equivalent"], 128),
    "QQP": ("accuracy_f1", ["not_duplicate", "duplicate"], 128),
    "STS-B": ("pearson_spearman", [], 128),
    "MNLI": ("accuracy", ["entailment", "neutral", "contradiction"], 128),
    "QNLI": ("accuracy", ["entailment", "not_entailment"], 128),
    "RTE": ("accuracy", ["entailment", "not_entailment"], 128),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_glue_layout(name, tmp_path):
    task = load(glue_folder(tmp_path, name))
    metric, names, length = EXPECTED[name]
    assert (task.name, task.metric, task.names, task.max_length) == (name, metric, names, length)
    assert len(task.train) + len(task.selection) == 13
    texts = task.validation[next(iter(task.validation))]
    first = texts[0]
    both = first["text"] + " " + first.get("text_pair", "")
    assert both.startswith('He said "no the "end')
    assert ("text_pair" in texts.column_names) == (name not in ("CoLA", "SST-2"))
    assert list(task.validation) == (["dev_matched", "dev_mismatched"] if name == "MNLI" else ["dev"])
    row = 1
    raw = {"STS-B": 1.25, "MNLI": 2.0, "QNLI": 0.0, "RTE": 0.0}.get(name, 1.0)
    assert texts[row]["labels"] == raw
    if name == "QQP":
        assert any("1 rows dropped" in note for note in task.notes)


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("name", "rows", "validation"),
    [("CoLA", 8551, 1043), ("MRPC", 3668, 408), ("RTE", 2490, 277), ("STS-B", 5749, 1500), ("SST-2", 67349, 872)],
)
def test_real_glue(name, rows, validation, glue):
    lines = {s: (glue / name / f"{s}.tsv").read_text("utf-8-sig").rstrip("\n").count("\n") for s in ("train", "dev")}
    task = load(glue / name)
    header = 0 if name == "CoLA" else 1
    assert len(task.validation["dev"]) == lines["dev"] + 1 - header
    assert len(task.train) + len(task.selection) <= lines["train"] + 1 - header
    assert len(task.train) + len(task.selection) >= 0.99 * rows
    assert task.name == name


# ---- other files ----


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


def test_class_labels_of_a_datasets_directory_keep_names_and_missing_ones(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["ham", "spam"])})
    data = Dataset.from_dict({"text": [f"t{i}" for i in range(20)], "label": [i % 3 - 1 for i in range(20)]}, features)
    data.save_to_disk(tmp_path / "saved")
    task = load(tmp_path / "saved")
    assert task.names == ["ham", "spam"]
    assert None in task.train["labels"][:]


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


def test_numbers_become_classes_or_quantities(tmp_path):
    def kind(values):
        return read_labels(values, "x").kind

    assert kind(["0", "1", "1"]) == "classification"
    assert kind([1.0, 2.0, 5.0]) == "classification"
    assert kind(["0.5", "3"]) == "regression"
    assert kind(list(range(40))) == "regression"
    assert read_labels(["1", "2", "1"], "x", "regression").values == [1.0, 2.0, 1.0]
    assert read_labels(["b", "", None, "a"], "x").values == [1.0, None, None, 0.0]
    assert read_labels([10, 9, 1], "x").names == ["1", "9", "10"]
    assert read_labels([True, False], "x").names == ["false", "true"]
    with pytest.raises(CrildError, match="'high' is not a number"):
        read_labels(["1", "high"], "x", "regression")


def test_splits_are_seeded_and_no_text_crosses_them(tmp_path):
    rows = [f"text {i % 40},{i % 2}" for i in range(200)]
    path = write(tmp_path / "d.csv", "text,label", *rows)
    one, same, other = load(path), load(path), load(path, data_seed=1)
    assert one.selection["text"][:] == same.selection["text"][:]
    assert one.selection["text"][:] != other.selection["text"][:]
    parts = [set(s["text"]) for s in (one.train, one.selection, one.validation["held out"])]
    assert not parts[0] & (parts[1] | parts[2])
    assert not parts[1] & parts[2]
    assert sum(map(len, (one.train, one.selection, one.validation["held out"]))) == 200


def test_rows_without_labels_stand_beside_labelled_ones(tmp_path):
    rows = [f"text {i},{'ab'[i % 2] if i < 60 else ''}" for i in range(200)]
    task = load(write(tmp_path / "d.csv", "text,label", *rows))
    counts = Counter(task.train["labels"])
    assert counts[None] == 140
    assert None not in task.selection["labels"][:]
    assert None not in task.validation["held out"]["labels"][:]


def test_supplementary_texts_need_no_labels(tmp_path):
    path = write(tmp_path / "more.txt", "one text", "", "another text")
    texts, _ = load_texts(DataConfig(), str(path))
    assert texts["text"][:] == ["one text", "another text"]
    assert texts["labels"][:] == [None, None]


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


# ---- label alignment ----


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
