"""A task from rows with and without labels; supplementary texts."""

from collections import Counter

from datasets import ClassLabel, Dataset, Features, Value

from crild.config import DataConfig
from crild.data.task import load_texts
from tests.data.files import load, write


def test_class_labels_of_a_datasets_directory_keep_names_and_missing_ones(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["ham", "spam"])})
    data = Dataset.from_dict({"text": [f"t{i}" for i in range(20)], "label": [i % 3 - 1 for i in range(20)]}, features)
    data.save_to_disk(tmp_path / "saved")
    task = load(tmp_path / "saved")
    assert task.names == ["ham", "spam"]
    assert None in task.train["labels"][:]


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
