"""Splits carved from the training rows: what is held out, and what every choice is made on."""

from hashlib import blake2b

import numpy as np
from datasets import Dataset

from crild.data.corruption import labelled
from crild.data.rows import RowTexts, has, kept

HOLD_OUT_SHARE, MOST_HELD_OUT = 0.2, 2000
SELECTION_SHARE, MOST_SELECTION = 0.1, 1000
FOLDS = 4  # a random stream of its own, beside those of `crild.data.corruption`
# Only what sentences are punctuated with: "C", "C++" and "C#" differ, and so do ":)" and ":(".
PUNCTUATION = str.maketrans(dict.fromkeys(".,;:!?\"'`…“”„‘’‚«»。，、；：！？", " "))  # noqa: RUF001


def keys(rows: Dataset) -> list[str]:
    """Return each row's text without case, sentence punctuation and spacing: equal keys are the same row."""
    return [key_of(texts) for texts in RowTexts(rows)]


def key_hashes(rows: Dataset) -> np.ndarray:
    """Return a 64-bit hash of each row's key (n,): among a million rows two are confused once in 36 million times."""
    hashes = (blake2b(key_of(texts).encode("utf-8", "surrogatepass"), digest_size=8) for texts in RowTexts(rows))
    return np.fromiter((int.from_bytes(each.digest(), "little") for each in hashes), np.uint64, len(rows))


def key_of(texts: tuple[str, ...]) -> str:
    """Return the key of a row."""
    return "\n".join(map(key, texts))


def key(text: str) -> str:
    """Return a text without case, sentence punctuation and spacing; a text of nothing else keeps its punctuation."""
    folded = text.casefold()
    return " ".join(folded.translate(PUNCTUATION).split()) or " ".join(folded.split())


def carve(rows: Dataset, share: float, most: int, seed: int) -> tuple[Dataset, Dataset]:
    """Split off a seeded share of the labelled rows (of all, if none is labelled); equal texts stay together.

    Texts are drawn one by one, with all their rows. A text with more rows than are still wanted is passed over and
    stays in train: so never more is split off than asked for, and a text that fills half of the data cannot take the
    training rows along. That text is then not measured, but a score on it would measure memory: no split of equal rows
    is better. Only where every text has more rows than are wanted is one text cut in two.

    Returns:
        What is left, and what was split off.
    """
    pool = labelled(rows)
    wanted = max(1, min(most, round(share * len(pool))))
    text_of = np.unique(key_hashes(rows), return_inverse=True)[1]  # which of the distinct texts each row has
    rows_of = np.bincount(text_of)
    members_of = np.bincount(text_of[pool], minlength=len(rows_of))
    drawn = np.random.default_rng(seed).permutation(pool)
    taken: list[int] = []
    count = 0
    for text in in_order(text_of[drawn]):
        if count == wanted:
            break
        if rows_of[text] <= wanted and members_of[text] <= wanted - count:
            taken.append(text)
            count += members_of[text]
    chosen = np.zeros(len(rows), bool)
    chosen[pool if taken else drawn[:wanted]] = True
    removed = chosen
    if taken:  # with the unlabelled rows of the same texts, which would tell the answer away
        removed = np.isin(text_of, taken)
        chosen &= removed
    return kept(rows, ~removed), kept(rows, chosen)


def in_order(numbers: np.ndarray) -> np.ndarray:
    """Return the distinct ones of some numbers, in the order in which they first occur."""
    return numbers[np.sort(np.unique(numbers, return_index=True)[1])]


def folds(rows: Dataset, count: int, seed: int) -> list[int | None]:
    """Return the fold, 1 to ``count``, of each row with a label; rows with equal texts share one.

    Texts are dealt out in a random order, each with all its labelled rows to the fold that has the fewest so far.
    """
    known = np.flatnonzero(has(rows, "labels"))
    text_of = np.unique(key_hashes(rows)[known], return_inverse=True)[1]
    by_text = np.argsort(text_of, kind="stable")
    ends = np.cumsum(np.bincount(text_of))
    texts = in_order(text_of)
    out: list[int | None] = [None] * len(rows)
    sizes = np.zeros(count, int)
    for place in np.random.default_rng((seed, FOLDS)).permutation(len(texts)):
        text = texts[place]
        members = known[by_text[ends[text - 1] if text else 0 : ends[text]]]
        fold = int(sizes.argmin())
        sizes[fold] += len(members)
        for i in members:
            out[i] = fold + 1
    return out
