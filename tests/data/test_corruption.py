"""Few rows, unbalanced classes, wrong labels: by the stated rules, and the same for everyone."""

from collections import Counter
from functools import partial

import pytest
from datasets import Dataset

from crild.config import DistillConfig, FinetuneConfig, build
from crild.data.corruption import few, flip, unbalance
from crild.data.task import load_task
from crild.errors import CrildError
from crild.tasks.registry import TASK_TYPES

CLASSES = TASK_TYPES["classification"]


def of_classes(count):
    return partial(CLASSES.another, classes=count)


def raw(labels):
    return Dataset.from_dict({"text": [f"row {i}" for i in range(len(labels))], "raw_label": labels})


def coded(labels):
    return Dataset.from_dict({"text": [f"row {i}" for i in range(len(labels))], "labels": labels})


def test_few_rows_are_labelled_ones_in_their_old_order_by_the_seed():
    rows = raw(["a", None, "b", "a", None, "b", "a", "b"])
    drawn = few(rows, 4, 7)
    assert drawn["text"] == few(rows, 4, 7)["text"]
    assert all(drawn["raw_label"])
    assert drawn["text"] == sorted(drawn["text"], key=lambda t: int(t.split()[1]))
    assert len({tuple(few(rows, 3, seed)["text"]) for seed in range(20)}) > 5
    with pytest.raises(CrildError, match="only 6 labelled"):
        few(rows, 7, 0)


@pytest.mark.parametrize(
    ("counts", "ratio", "expected"),
    [
        ({"a": 100, "b": 80}, 0.1, {"a": 100, "b": 10}),
        ({"a": 50, "b": 100}, 0.5, {"a": 50, "b": 100}),
        ({"a": 100, "b": 100, "c": 100}, 0.01, {"a": 100, "b": 10, "c": 1}),
        ({"a": 100, "b": 3}, 0.1, {"a": 100, "b": 3}),
    ],
)
def test_class_counts_fall_geometrically(counts, ratio, expected):
    labels = [name for name, count in counts.items() for _ in range(count)] + [None] * 5
    rows = unbalance(raw(labels), ratio, 1)
    found = Counter(rows["raw_label"])
    assert found.pop(None) == 5
    assert found == expected
    assert rows["text"] == unbalance(raw(labels), ratio, 1)["text"]


def test_flips_are_to_another_class_at_the_stated_rate():
    labels = [float(i % 3) for i in range(6000)]
    out = flip(coded(labels), 0.3, of_classes(3), 5)["labels"]
    changed = [(a, b) for a, b in zip(labels, out, strict=True) if a != b]
    assert 0.28 < len(changed) / 6000 < 0.32
    assert {(a, b) for a, b in changed} == {(a, b) for a in (0.0, 1.0, 2.0) for b in (0.0, 1.0, 2.0) if a != b}
    assert min(Counter(changed).values()) > 240  # of 300 expected
    assert out == flip(coded(labels), 0.3, of_classes(3), 5)["labels"]
    assert out != flip(coded(labels), 0.3, of_classes(3), 6)["labels"]


def test_flips_of_a_smaller_share_are_among_those_of_a_larger_one():
    labels = [float(i % 2) for i in range(500)]
    less, more = (flip(coded(labels), share, of_classes(2), 5)["labels"] for share in (0.1, 0.3))
    assert all(b != c for a, b, c in zip(less, more, labels, strict=True) if a != c)
    assert flip(coded(labels), 0.0, of_classes(2), 5)["labels"] == labels


def test_numbers_become_those_of_other_rows():
    labels = [i / 7 for i in range(300)] + [None]
    out = flip(coded(labels), 1.0, partial(TASK_TYPES["regression"].another, classes=0), 5)["labels"]
    assert out[-1] is None
    assert all(a != b and b in labels for a, b in zip(labels[:-1], out[:-1], strict=True))


def test_rows_and_flips_depend_on_the_data_seed_alone(film_data):
    common = {"data": str(film_data), "train_rows": 100, "label_noise": 0.3, "imbalance": 0.5}
    tasks = [
        load_task(build(FinetuneConfig, {**common, "seed": 1})),
        load_task(build(DistillConfig, {**common, "seed": 2, "method": "kd"}), CLASSES),
        load_task(build(FinetuneConfig, {**common, "data_seed": 43})),
        load_task(build(FinetuneConfig, {"data": str(film_data), "train_rows": 100, "imbalance": 0.5})),
    ]
    contents = [[(row["text"], row["labels"]) for split in (t.train, t.selection) for row in split] for t in tasks]
    assert contents[0] == contents[1] != contents[2]
    assert len(contents[0]) == 100
    # against the same rows with right labels: about 30 % differ, in the selection split too
    right = dict(contents[3])
    assert [text for text, _ in contents[0]] == [text for text, _ in contents[3]]
    assert 0.15 < sum(right[text] != label for text, label in contents[0]) / 100 < 0.45
    # validation is never touched
    assert list(tasks[0].validation["validation"]["labels"]) == list(tasks[3].validation["validation"]["labels"])


def test_conditions_that_mean_nothing_are_refused(tmp_path, film_data):
    (tmp_path / "n.csv").write_text("text,label\n" + "".join(f"text {i},{i / 7:.3f}\n" for i in range(60)))
    with pytest.raises(CrildError, match="about classes"):
        load_task(build(FinetuneConfig, {"data": str(tmp_path / "n.csv"), "imbalance": 0.1}))
    with pytest.raises(CrildError, match="at most 1"):
        build(FinetuneConfig, {"label_noise": 1.5})
    with pytest.raises(CrildError, match="there are only 160"):
        load_task(build(FinetuneConfig, {"data": str(film_data), "train_rows": 1000}))
