"""Rewrites: what each keeps of a text, which are drawn from, and that a number and an epoch decide them alone."""

from collections import Counter

import numpy as np
import pytest
import torch
from datasets import Dataset

from crild.data.augment import ALL, REWRITES, Augmented, Corpus, crossed, parse_rewrites, split
from crild.data.batching import Collator, LengthGroupedSampler
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from tests.tiny import WORDS, tiny_tokenizer

SINGLES = ["good fine film", "the plot was really very slow", "dull", "nice music", "a great story"]
PAIRS = [(f"{one} a0", f"{one} b0 b1 b2") for one in SINGLES]
DRAWS = 300


def corpus_of(texts, said=ALL, mask="[MASK]"):
    columns = list(zip(*texts, strict=True)) if isinstance(texts[0], tuple) else [texts]
    names = ("text", "text_pair")[: len(columns)]
    return Corpus.of(Dataset.from_dict(dict(zip(names, map(list, columns), strict=True))), said, mask)


def draws(name, corpus, i):
    rows = corpus.rows
    return [REWRITES[name](np.random.default_rng((7, k)), rows[i], i, corpus) for k in range(DRAWS)]


def is_part(part, whole):
    rest = iter(whole)
    return all(word in rest for word in part)


def test_deletion_keeps_a_part_in_order_and_never_nothing():
    corpus = corpus_of(SINGLES)
    found = [text.split() for (text,) in draws("deletion", corpus, 1)]
    whole = SINGLES[1].split()
    assert all(is_part(words, whole) and 1 <= len(words) < len(whole) for words in found)
    assert len({tuple(words) for words in found}) > 20
    assert {words[0] for words in found} > {"the"}  # any place may go
    assert set(draws("deletion", corpus, 2)) == {("dull",)}


def test_the_rate_of_a_text_is_between_a_tenth_and_four_tenths():
    corpus = corpus_of([" ".join(f"w{i}" for i in range(400))])
    kept = np.array([len(text.split()) / 400 for (text,) in draws("deletion", corpus, 0)])
    assert kept.mean() == pytest.approx(0.75, abs=0.02)
    assert kept.std() == pytest.approx(np.hypot(0.3 / 12**0.5, (0.75 * 0.25 / 400) ** 0.5), abs=0.015)


def test_masking_changes_words_into_the_mask_token_alone():
    whole = SINGLES[1].split()
    for (text,) in draws("masking", corpus_of(SINGLES), 1):
        words = text.split()
        assert all(new in (old, "[MASK]") for new, old in zip(words, whole, strict=True))
        assert 1 <= words.count("[MASK]") < len(whole)


def test_replacement_keeps_the_number_of_words_and_draws_by_frequency():
    texts = [("w " * 30, "a a a a a a b b c d"), ("x y", "z")]
    corpus = corpus_of(texts)
    new = Counter()
    for first, second in draws("replacement", corpus, 0):
        assert (len(first.split()), len(second.split())) == (30, 10)
        new.update(word for word in first.split() if word != "w")
    share = {word: new[word] / new.total() for word in "abcdxyz"}
    expected = {word: count / 13 for word, count in {"a": 6, "b": 2, "c": 1, "d": 1, "x": 1, "y": 1, "z": 1}.items()}
    assert share == pytest.approx(expected, abs=0.05)


def test_crossing_joins_the_first_part_of_one_row_and_the_last_of_another():
    texts = [" ".join(f"{name}{i}" for i in range(8)) for name in "abc"]
    seen = set()
    for (text,) in draws("crossing", corpus_of(texts), 0):
        words = text.split()
        other = words[-1][0]
        kept = sum(word[0] == "a" for word in words)
        assert words[:kept] == texts[0].split()[:kept]
        assert words[kept:] == texts["abc".index(other)].split()[-(len(words) - kept) :]
        assert other != "a"
        assert 1 <= kept <= 8
        seen.add((other, kept))
    assert {other for other, _ in seen} == {"b", "c"}
    assert len({kept for _, kept in seen}) == 8
    assert crossed("a b c d", "e f g h", 0.5) == "a b g h"
    assert crossed("dull", "nice", 0.9) == "dull nice"


def test_pairing_is_a_stranger_or_an_own_rewrite():
    corpus = corpus_of(PAIRS)
    kinds = Counter()
    for first, second in draws("pairing", corpus, 1):
        if first == PAIRS[1][0] and second in {b for i, (_, b) in enumerate(PAIRS) if i != 1}:
            kinds["stranger"] += 1
        else:
            assert first in PAIRS[1]
            assert is_part(second.split(), first.split()) or len(second.split()) == len(first.split())
            kinds["own"] += 1
    assert kinds["stranger"] == pytest.approx(DRAWS / 2, rel=0.2)


@pytest.mark.parametrize("name", ["deletion", "masking", "replacement", "crossing"])
def test_a_pair_is_rewritten_on_either_side_or_on_both(name):
    texts = [(f"{side}0 {side}1 {side}2 {side}3 {side}4", f"{side}5 {side}6 {side}7") for side in "abc"]
    changed = Counter(
        (first != texts[1][0], second != texts[1][1]) for first, second in draws(name, corpus_of(texts), 1)
    )
    assert {(True, False), (False, True), (True, True)} <= set(changed)
    assert changed[False, False] < DRAWS / 10  # a word may be drawn in its own place


@pytest.mark.parametrize("name", ["deletion", "masking", "replacement", "crossing"])
@pytest.mark.parametrize("text", ["", "dull", "x" * 20])
def test_little_or_nothing_to_rewrite_is_no_error(name, text):
    for (found,) in draws(name, corpus_of([text, ""]), 0):
        assert found == text
    alone = corpus_of([text])
    assert all(found.split()[:1] == text.split() for (found,) in draws(name, alone, 0))


def test_a_text_without_whitespace_is_rewritten_by_character():
    text = "这部电影的情节非常精彩演员的表演也很出色值得一看"
    assert split(text) == (list(text), "")
    assert split("supercalifragilistic") == (["supercalifragilistic"], " ")
    corpus = corpus_of([text, text[::-1]])
    for (found,) in draws("deletion", corpus, 0):
        assert is_part(found, text)
        assert len(text) / 3 < len(found) < len(text)
    for (found,) in draws("replacement", corpus, 0):
        assert len(found) == len(text)
        assert set(found) <= set(text)
    assert all(" " not in found for (found,) in draws("crossing", corpus, 0))


def test_all_leaves_out_what_cannot_be_and_naming_it_is_refused():
    assert corpus_of(PAIRS).rewrites == list(REWRITES)
    assert corpus_of(SINGLES, mask=None).rewrites == ["deletion", "replacement", "crossing"]
    assert corpus_of(PAIRS, "pairing+deletion").rewrites == ["pairing", "deletion"]
    with pytest.raises(CrildError, match=r"--augment pairing: pairing is of pairs.*single texts; leave it out"):
        corpus_of(SINGLES, "pairing")
    with pytest.raises(CrildError, match=r"--augment deletion\+masking: masking needs a mask token"):
        corpus_of(SINGLES, "deletion+masking", mask=None)
    with pytest.raises(
        CrildError, match=r"no rewrite 'deletoin' \(did you mean 'deletion'\?\): use all, none, or some of"
    ):
        parse_rewrites("crossing+deletoin")
    with pytest.raises(CrildError, match=r"--augment none\+deletion: none stands alone"):
        parse_rewrites("none+deletion")


# ---- as rows ----


def augmented(count=60, seed=(3, 4), words=False, tokenizer=None, texts=None, **columns):
    tokenizer = tokenizer or tiny_tokenizer([*WORDS, "a0", "b0", "b1", "b2"])
    first, second = zip(*(texts or PAIRS), strict=True)
    raw = Dataset.from_dict({"text": first, "text_pair": second, "labels": [1.0] * len(first)})
    rows = tokenise(raw, tokenizer, 12, words)
    for name, values in columns.items():
        rows = rows.add_column(name, values)
    return Augmented(rows, Corpus.of(raw, ALL, None), count, tokenizer, 12, *seed)


def test_a_rewrite_depends_on_seed_epoch_and_number_alone():
    one, again, other = augmented(), augmented(), augmented(seed=(3, 5))
    places = [5, 64, 7, 40]
    assert one.__getitems__(places) == [again[i] for i in places]
    for place in (7, 40, 64):
        k = place - len(PAIRS)
        texts = [{rows.texts(epoch, k) for epoch in range(8)} for rows in (one, other)]
        assert texts[0] != texts[1]
        assert len(texts[0]) > 3
        assert one[2 * len(one) + place]["input_ids"] == again.__getitems__([0, 2 * len(one) + place])[1]["input_ids"]


def test_real_rows_are_the_same_in_every_epoch_and_rewrites_have_no_label():
    rows = augmented()
    for i in range(len(PAIRS)):
        assert rows[i] == rows[3 * len(rows) + i] == rows.rows[i]
    batch = Collator(tiny_tokenizer())(rows.__getitems__([0, 30, 1, 31]))
    assert batch["labels"].isnan().tolist() == [False, True, False, True]
    assert batch["input_ids"].shape[1] <= 12


@pytest.mark.parametrize(("count", "most"), [(15, 3), (3, 1), (7, 2)])
def test_rewrites_are_spread_evenly_over_the_rows(count, most):
    rows = augmented(count)
    sources = Counter(rows.source(k) for k in range(count))
    assert max(sources.values()) == most
    assert len(sources) == min(count, len(PAIRS))
    assert len(rows) == len(PAIRS) + count


def test_rows_are_grouped_by_what_they_are_in_the_epoch(monkeypatch):
    monkeypatch.setattr("crild.data.augment.BLOCK", 7)
    rows = augmented(45)
    for epoch in (0, 3, 0):
        found = [len(rows[epoch * len(rows) + i]["input_ids"]) for i in range(len(rows))]
        assert rows.lengths(epoch).tolist() == found
    assert rows.lengths(0).tolist() != rows.lengths(3).tolist()
    sampler = LengthGroupedSampler(rows, 5, 0)
    sampler.set_epoch(3)
    order = [number - 3 * len(rows) for number in sampler]
    assert sorted(order) == list(range(len(rows)))
    spans = np.ptp(rows.lengths(3)[order].reshape(-1, 5), axis=1)
    at_random = np.ptp(np.random.default_rng(0).permutation(rows.lengths(3)).reshape(-1, 5), axis=1)
    assert spans.mean() < at_random.mean() / 2


def test_a_rewrite_is_in_no_fold():
    rows = augmented(fold_logits=[[0.5, float("nan")]] * len(PAIRS))
    batch = Collator(tiny_tokenizer())(rows.__getitems__([30, 31, 32]))
    assert batch["fold_logits"].shape == (3, 2)
    assert batch["fold_logits"].isnan().all()
    assert rows[0]["fold_logits"][0] == 0.5


def test_words_are_numbered_where_the_rows_have_them():
    assert "words" in augmented(words=True)[len(PAIRS)]
    assert "words" not in augmented()[len(PAIRS)]


class Same(list):
    """Rows of the same lengths in every epoch."""

    def lengths(self, epoch):
        return np.array(self)


def test_the_sampler_counts_on_through_the_epochs():
    lengths = np.random.default_rng(0).integers(3, 60, 101).tolist()
    for options in ({}, {"grouped": False}, {"drop_last": True}):
        plain, anew = (LengthGroupedSampler(each, 8, 1, **options) for each in (lengths, Same(lengths)))
        for epoch in (0, 1, 5):
            plain.set_epoch(epoch)
            anew.set_epoch(epoch)
            assert list(anew) == [epoch * 101 + i for i in plain]


def test_a_loader_fetches_whole_batches():
    rows = augmented(45)
    sampler = LengthGroupedSampler(rows, 10, 0)
    sampler.set_epoch(2)
    loader = torch.utils.data.DataLoader(rows, 10, sampler=sampler, collate_fn=Collator(tiny_tokenizer()))
    batches = list(loader)
    assert [len(batch["labels"]) for batch in batches] == [10] * 5
    assert sum(int((~batch["labels"].isnan()).sum()) for batch in batches) == len(PAIRS)
