"""Fewer, unbalanced and wrong labels, on purpose: the conditions under which methods are compared (`method.md` 7).

Every choice is a function of the data seed alone, so that a teacher and all its students see the same rows and flips.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from crild.errors import CrildError

FEW, IMBALANCE, NOISE = 1, 2, 3  # random streams of their own: one condition never shifts another


def few(rows: Dataset, wanted: int, seed: int) -> Dataset:
    """Return ``wanted`` of the labelled rows (of all, if none is labelled), drawn at random; in their old order.

    Raises:
        CrildError: there are not so many.
    """
    pool = labelled(rows) or list(range(len(rows)))
    if wanted > len(pool):
        raise CrildError(f"--train-rows {wanted}: there are only {len(pool)} labelled training rows")
    chosen = np.random.default_rng((seed, FEW)).choice(pool, wanted, replace=False)
    return rows.select(sorted(chosen.tolist()))


def unbalance(rows: Dataset, ratio: float, seed: int) -> Dataset:
    """Return rows with class counts that fall geometrically from the most frequent class to ``ratio`` times it.

    Of C classes in order of frequency, class k = 0 to C - 1 keeps at most ``n_0 * ratio^(k / (C - 1))`` rows: with two
    classes the rarer one keeps ``ratio`` times the other. Rows without a label stay.
    """
    labels = rows["raw_label"][:]
    if any(isinstance(label, list) for label in labels):
        raise CrildError("--imbalance needs one class a row, and here rows have lists of labels")
    names, counts = np.unique([labels[i] for i in labelled(rows)], return_counts=True)
    order = np.lexsort((names, -counts))
    rng = np.random.default_rng((seed, IMBALANCE))
    dropped: set[int] = set()
    for rank, which in enumerate(order):
        most = max(1, round(counts[order[0]] * ratio ** (rank / max(1, len(order) - 1))))
        own = [i for i, label in enumerate(labels) if label == names[which]]
        if len(own) > most:
            dropped.update(rng.permutation(own)[most:].tolist())
    return rows.select([i for i in range(len(rows)) if i not in dropped])


def flip(rows: Dataset, share: float, another: Callable[[Sequence[Any], int, float], Any], *seed: int) -> Dataset:
    """Return rows in which each label is replaced by another one with probability ``share``.

    Args:
        rows: with ``labels``; rows without one stay.
        share: of the labels.
        another: makes a wrong label in place of ``labels[place]``, by a draw from [0, 1); see `TaskType.another`.
        seed: any number of integers.
    """
    values = rows["labels"][:]
    known = [i for i, value in enumerate(values) if value is not None]
    labels = [values[i] for i in known]
    rng = np.random.default_rng((*seed, NOISE))
    # One draw a row whatever the share, so that the flips of a smaller share are among those of a larger one.
    chances, draws = rng.random(len(known)), rng.random(len(known))
    out = list(values)
    for place, row in enumerate(known):
        if chances[place] < share:
            out[row] = another(labels, place, draws[place])
    return rows.remove_columns("labels").add_column("labels", out)


def labelled(rows: Dataset) -> list[int]:
    """Return the numbers of the rows that have a label."""
    return [i for i, label in enumerate(rows["raw_label"][:]) if label is not None]
