"""Splits are seeded, and no text crosses them."""

import numpy as np
from datasets import Dataset

from crild.data.splits import carve, folds, keys
from tests.data.files import load, write


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


def data(texts, labels=None):
    return Dataset.from_dict({"text": texts, "raw_label": labels or ["a"] * len(texts)})


def test_keys_keep_what_tells_texts_apart():
    texts = ["C", "C++", "C#", "😀", "😡", "?!", "...", "nice :)", "nice :(", "great 😀", "great"]
    assert len(set(keys(data(texts)))) == len(texts)
    pairs = Dataset.from_dict({"text": ["a b", "a"], "text_pair": ["c", "b c"]})
    assert len(set(keys(pairs))) == 2


def test_keys_of_texts_that_differ_in_case_spacing_and_sentence_marks_are_equal():
    same = ["RT: So good, really!", "rt so  good really", " RT\tso good; “really”. "]
    assert len(set(keys(data(same)))) == 1


def test_a_text_that_fills_the_data_does_not_swallow_the_training_rows():
    rows = data([f"text {i}" if i < 300 else "again!" for i in range(1000)])
    for seed in range(5):
        left, split = carve(rows, 0.2, 2000, seed)
        assert (len(left), len(split)) == (800, 200)
        assert "again!" not in split["text"][:]


def test_equal_texts_stay_together_where_they_fit_and_are_never_more_than_asked_for():
    rows = data([f"text {i % 40}" for i in range(199)])
    left, split = carve(rows, 0.1, 2000, 0)
    assert 0 < len(split) <= 20
    assert not set(left["text"]) & set(split["text"])
    assert len(left) + len(split) == 199


def test_where_every_text_has_too_many_rows_one_is_cut():
    left, split = carve(data([f"text {i % 2}" for i in range(100)]), 0.1, 2000, 0)
    assert (len(left), len(split)) == (90, 10)


def test_unlabelled_copies_leave_with_their_text_but_not_by_the_hundred():
    texts = ["copied"] * 500 + [f"text {i // 2}" for i in range(200)]
    labels = ["a", *[None] * 499, *["a", None] * 100]
    for seed in range(5):
        left, split = carve(data(texts, labels), 0.2, 2000, seed)
        assert len(split) == 20
        assert None not in split["raw_label"][:]
        assert len(left) == 700 - 40
        assert not set(left["text"]) & set(split["text"])


def test_folds_are_seeded_share_out_labelled_rows_evenly_and_cut_no_text():
    texts = [f"text {i}" if i < 80 else f"Text, {i % 10}!" for i in range(101)]
    rows = Dataset.from_dict({"text": texts, "labels": [None if i % 4 == 3 else 1.0 for i in range(101)]})
    dealt = folds(rows, 5, 42)
    assert dealt == folds(rows, 5, 42) != folds(rows, 5, 43)
    assert [fold is None for fold in dealt] == [i % 4 == 3 for i in range(101)]
    sizes = [dealt.count(fold) for fold in range(1, 6)]
    assert sum(sizes) == 76
    assert max(sizes) - min(sizes) <= 3  # of a text with so many rows
    of_text = {key: {f for k, f in zip(keys(rows), dealt, strict=True) if k == key and f} for key in keys(rows)}
    assert max(map(len, of_text.values())) == 1
    distinct = Dataset.from_dict({"text": [f"text {i}" for i in range(23)], "labels": [0.0] * 23})
    assert sorted(folds(distinct, 4, 1).count(fold) for fold in range(1, 5)) == [5, 6, 6, 6]


def carved_from_lists(rows, share, most, seed):
    """What `carve` does, by the texts themselves."""
    known = [i for i, label in enumerate(rows["raw_label"][:]) if label is not None]
    pool = known or list(range(len(rows)))
    wanted = max(1, min(most, round(share * len(pool))))
    texts, chosen, removed = keys(rows), [], set()
    drawn = np.random.default_rng(seed).permutation(pool).tolist()
    for text in dict.fromkeys(texts[i] for i in drawn):
        group = [i for i in range(len(rows)) if texts[i] == text]
        members = [i for i in group if i in set(pool)]
        if len(group) <= wanted and len(members) <= wanted - len(chosen):
            chosen += members
            removed.update(group)
    chosen = chosen or drawn[:wanted]
    removed.update(chosen)
    return [i for i in range(len(rows)) if i not in removed], sorted(chosen)


def test_what_is_carved_by_hashes_is_what_texts_say():
    rng = np.random.default_rng(0)
    for seed in range(30):
        texts = [f"Text {i}." if i % 2 else f"text  {i}" for i in rng.integers(0, rng.integers(1, 40), 60)]
        labels = [None if rng.random() < seed / 29 else "a" for _ in texts]
        rows = Dataset.from_dict({"text": texts, "raw_label": labels, "row": list(range(60))})
        parts = carve(rows, 0.2, 9, seed)
        assert tuple(part["row"][:] for part in parts) == carved_from_lists(rows, 0.2, 9, seed)
