"""Fewer, unbalanced and wrong labels, on purpose: the conditions under which methods are compared (`method.md` 7).

Every choice is a function of the data seed alone, so that a teacher and all its students see the same rows and flips.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow
from datasets import Dataset

from crild.data.rows import column, has, kept, values, with_column
from crild.errors import CrildError

FEW, IMBALANCE, NOISE = 1, 2, 3  # random streams of their own: one condition never shifts another


def few(rows: Dataset, wanted: int, seed: int) -> Dataset:
    """Return ``wanted`` of the labelled rows (of all, if none is labelled), drawn at random; in their old order.

    Raises:
        CrildError: there are not so many.
    """
    pool = labelled(rows)
    if wanted > len(pool):
        raise CrildError(f"--train-rows {wanted}: there are only {len(pool)} labelled training rows")
    chosen = np.random.default_rng((seed, FEW)).choice(pool, wanted, replace=False)
    mask = np.zeros(len(rows), bool)
    mask[chosen] = True
    return kept(rows, mask)


def unbalance(rows: Dataset, ratio: float, seed: int) -> Dataset:
    """Return rows with class counts that fall geometrically from the most frequent class to ``ratio`` times it.

    Of C classes in order of frequency, class k = 0 to C - 1 keeps at most ``n_0 * ratio^(k / (C - 1))`` rows: with two
    classes the rarer one keeps ``ratio`` times the other. Rows without a label stay.
    """
    labels = column(rows, "raw_label")
    if pyarrow.types.is_nested(labels.type):
        raise CrildError("--imbalance needs one class a row, and here rows have lists of labels")
    coded = labels.cast(pyarrow.string()).combine_chunks().dictionary_encode()
    classes = coded.indices.fill_null(-1).to_numpy()
    names, counts = np.array(coded.dictionary.to_pylist()), np.bincount(classes[classes >= 0])
    order = np.lexsort((names, -counts))
    rng = np.random.default_rng((seed, IMBALANCE))
    mask = np.ones(len(rows), bool)
    for rank, which in enumerate(order):
        most = max(1, round(counts[order[0]] * ratio ** (rank / max(1, len(order) - 1))))
        own = np.flatnonzero(classes == which)
        if len(own) > most:
            mask[rng.permutation(own)[most:]] = False
    return kept(rows, mask)


def flip(rows: Dataset, share: float, another: Callable[[Sequence[Any], int, float], Any], *seed: int) -> Dataset:
    """Return rows in which each label is replaced by another one with probability ``share``.

    Args:
        rows: with ``labels``; rows without one stay.
        share: of the labels.
        another: makes a wrong label in place of ``labels[place]``, by a draw from [0, 1); see `TaskType.another`.
        seed: any number of integers.
    """
    out = values(rows, "labels")
    known = np.flatnonzero(has(rows, "labels"))
    labels = [out[i] for i in known]
    rng = np.random.default_rng((*seed, NOISE))
    # One draw a row whatever the share, so that the flips of a smaller share are among those of a larger one.
    chances, draws = rng.random(len(known)), rng.random(len(known))
    for place, row in enumerate(known):
        if chances[place] < share:
            out[row] = another(labels, place, draws[place])
    return with_column(rows, "labels", out)


def labelled(rows: Dataset) -> np.ndarray:
    """Return the numbers of the rows that have a label; of all rows, where none has one."""
    known = has(rows, "raw_label")
    return np.flatnonzero(known) if known.any() else np.arange(len(rows))
