"""Splits carved from the training rows: what is held out, and what every choice is made on."""

import numpy as np
from datasets import Dataset

from crild.data.corruption import labelled

HOLD_OUT_SHARE, MOST_HELD_OUT = 0.2, 2000
SELECTION_SHARE, MOST_SELECTION = 0.1, 1000
FOLDS = 4  # a random stream of its own, beside those of `crild.data.corruption`
# Only what sentences are punctuated with: "C", "C++" and "C#" differ, and so do ":)" and ":(".
PUNCTUATION = str.maketrans(dict.fromkeys(".,;:!?\"'`…“”„‘’‚«»。，、；：！？", " "))  # noqa: RUF001


def row_texts(rows: Dataset) -> list[tuple[str, ...]]:
    """Return each row's text, or the two of a pair."""
    return list(zip(*(rows[name][:] for name in ("text", "text_pair") if name in rows.column_names), strict=True))


def keys(rows: Dataset) -> list[str]:
    """Return each row's text without case, sentence punctuation and spacing: equal keys are the same row."""
    return ["\n".join(map(key, texts)) for texts in row_texts(rows)]


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
    pool = labelled(rows) or list(range(len(rows)))
    wanted = max(1, min(most, round(share * len(pool))))
    key_of = keys(rows)
    groups: dict[str, list[int]] = {}
    for i, row_key in enumerate(key_of):
        groups.setdefault(row_key, []).append(i)
    in_pool = set(pool)
    drawn = np.random.default_rng(seed).permutation(pool).tolist()
    chosen: list[int] = []
    removed: set[int] = set()  # with the unlabelled rows of the same texts, which would tell the answer away
    for row_key in dict.fromkeys(key_of[i] for i in drawn):
        if len(chosen) == wanted:
            break
        group = groups[row_key]
        members = [i for i in group if i in in_pool]
        if len(group) <= wanted and len(members) <= wanted - len(chosen):
            chosen += members
            removed.update(group)
    if not chosen:
        chosen = drawn[:wanted]
        removed.update(chosen)
    return rows.select([i for i in range(len(rows)) if i not in removed]), rows.select(sorted(chosen))


def folds(rows: Dataset, count: int, seed: int) -> list[int | None]:
    """Return the fold, 1 to ``count``, of each row with a label; rows with equal texts share one.

    Texts are dealt out in a random order, each with all its labelled rows to the fold that has the fewest so far.
    """
    groups: dict[str, list[int]] = {}
    for i, (row_key, label) in enumerate(zip(keys(rows), rows["labels"][:], strict=True)):
        if label is not None:
            groups.setdefault(row_key, []).append(i)
    texts = list(groups.values())
    out: list[int | None] = [None] * len(rows)
    sizes = np.zeros(count, int)
    for place in np.random.default_rng((seed, FOLDS)).permutation(len(texts)):
        fold = int(sizes.argmin())
        sizes[fold] += len(texts[place])
        for i in texts[place]:
            out[i] = fold + 1
    return out
