"""Rows in Arrow tables behave as lists of rows did, and no list of them all is made on the way."""

import tracemalloc

import numpy as np
import pytest
from datasets import Dataset

from crild.config import FinetuneConfig
from crild.data.doctor import check_data
from crild.data.rows import BLOCK, RowTexts, blocks, has, kept, stacked, token_ids, values, with_column
from crild.data.task import load_task
from crild.data.tokenise import tokenise
from crild.run.identity import fingerprint
from tests.conftest import write_jsonl
from tests.tiny import tiny_tokenizer

TEXTS = [f"text {i}" for i in range(7)]
LABELS = ["a", None, "b", "a", "a", None, "b"]


def rows_of(**columns):
    return Dataset.from_dict({"text": TEXTS, "label": LABELS, **columns})


@pytest.mark.parametrize("pairs", [False, True])
def test_texts_are_a_sequence_as_a_list_of_them_is(pairs):
    rows = rows_of(text_pair=TEXTS[::-1]) if pairs else rows_of()
    listed = list(zip(TEXTS, TEXTS[::-1], strict=True)) if pairs else [(text,) for text in TEXTS]
    texts = RowTexts(rows)
    assert list(texts) == listed
    assert (len(texts), texts[2], texts[-1], texts[1:3]) == (7, listed[2], listed[-1], listed[1:3])
    assert listed[4] in texts
    assert list(RowTexts(rows.select([5, 0, 3]))) == [listed[i] for i in (5, 0, 3)]


def test_a_column_has_its_values_and_of_equals_one_object():
    rows = rows_of(
        number=[1.0, None, 2.0, 1.0, 3.0, 1.0, 2.0], nothing=[None] * 7, several=[["a", "b"], None, [], *[["a"]] * 4]
    )
    for chosen in (rows, rows.select([3, 1, 6])):
        assert all(values(chosen, name) == chosen[name][:] for name in rows.column_names)
    found = values(rows, "label")
    assert found[0] is found[3]
    assert has(rows, "label").tolist() == [label is not None for label in LABELS]


def test_rows_are_kept_and_given_columns_and_stay_as_they_were():
    rows = rows_of()
    left = kept(rows, has(rows, "label"))
    assert left.to_dict() == {"text": [TEXTS[i] for i in (0, 2, 3, 4, 6)], "label": ["a", "b", "a", "a", "b"]}
    for logits in (np.arange(10, dtype=np.float32).reshape(5, 2) / 3, np.full((5, 2), np.nan, np.float32)):
        wider = with_column(left, "logits", logits)
        assert wider.column_names == ["text", "label", "logits"]
        np.testing.assert_array_equal(np.array(wider["logits"][:], np.float32), logits)
    assert with_column(rows, "label", list(range(7)))["label"][:] == list(range(7))
    assert rows["label"][:] == LABELS
    more = with_column(rows_of(), "label", [None] * 7)
    assert stacked(rows, more)["label"][:] == LABELS + [None] * 7
    assert stacked(rows, more).features == rows.features


def test_blocks_are_all_rows():
    rows = Dataset.from_dict({"text": [str(i) for i in range(2 * BLOCK + 3)]})
    assert [(start, len(block)) for start, block in blocks(rows)] == [(0, BLOCK), (BLOCK, BLOCK), (2 * BLOCK, 3)]
    assert [text for _, block in blocks(rows) for text in block["text"][:]] == rows["text"][:]


def test_what_is_read_does_not_depend_on_the_size_of_a_block(tmp_path, monkeypatch):
    """Blocks without a text, a label or a list that is not empty; columns whose type the first block does not know."""
    labels = [*[None] * 4, *[[]] * 4, *[["a"], ["b", "a"], [], ["b"]] * 4]
    texts = [*[""] * 3, *[f"text {i}" for i in range(21)]]
    more = [i if i % 5 else i / 2 for i in range(24)]
    rows = [dict(zip(("text", "label", "more"), row, strict=True)) for row in zip(texts, labels, more, strict=True)]
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    config = FinetuneConfig(data=str(path), task="multi-label")
    whole = load_task(config)
    monkeypatch.setattr("crild.data.rows.BLOCK", 2)
    monkeypatch.setattr("crild.data.sources.BLOCK", 2)
    parts = load_task(config)
    assert parts.notes == whole.notes
    for name, split in whole.splits.items():
        assert parts.splits[name].to_dict() == split.to_dict()


def test_token_ids_give_the_fingerprint_of_lists(tiny_teacher):
    """A finished run's teacher outputs are found again: this hash was made of lists of all ids."""
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(tiny_teacher)
    rows = tokenise(with_column(rows_of(), "labels", [None] * 7), tiny_tokenizer(), 16)
    rows = rows.select([6, 0, 2])
    lists = [np.asarray(ids, np.int64) for ids in rows["input_ids"][:]]
    assert [ids.tolist() for ids in token_ids(rows)] == rows["input_ids"][:]
    assert fingerprint(model, token_ids(rows), "fp32") == fingerprint(model, lists, "fp32")


def test_reading_and_checking_many_rows_holds_few_of_them(tmp_path):
    """It took six times the file; now the file's text and its bytes are there once each, beside a block of rows."""
    path = tmp_path / "d.csv"
    lines = (f"row {i} {'some words of a text ' * 5},{'yn'[i % 2]}\n" for i in range(30_000))
    path.write_text("text,label\n" + "".join(lines))
    tracemalloc.start()
    try:
        task = load_task(FinetuneConfig(data=str(path)))
        read = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        checks = check_data(task)
        held, checked = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = path.stat().st_size
    assert sum(checks.rows.values()) == 30_000
    assert read < 3 * size
    assert checked < 2 * size
    assert held < size / 10
