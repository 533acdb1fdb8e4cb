"""Splits carved from the training rows: what is held out, and what every choice is made on."""

import re

import numpy as np
from datasets import Dataset

from crild.data.corruption import labelled

HOLD_OUT_SHARE, MOST_HELD_OUT = 0.2, 2000
SELECTION_SHARE, MOST_SELECTION = 0.1, 1000


def keys(rows: Dataset) -> list[str]:
    """Return each row's text without case, punctuation and spacing: equal keys are the same row."""
    pairs = rows["text_pair"] if "text_pair" in rows.column_names else [""] * len(rows)
    return [" | ".join(re.sub(r"[^\w]+", " ", text.casefold()).strip() for text in both)
            for both in zip(rows["text"], pairs, strict=True)]  # fmt: skip


def carve(rows: Dataset, share: float, most: int, seed: int) -> tuple[Dataset, Dataset]:
    """Split off a seeded share of the labelled rows (of all, if none is labelled); equal texts stay together.

    Returns:
        What is left, and what was split off.
    """
    pool = labelled(rows) or list(range(len(rows)))
    wanted = max(1, min(most, round(share * len(pool))))
    key = keys(rows)
    groups: dict[str, list[int]] = {}
    for i in range(len(rows)):
        groups.setdefault(key[i], []).append(i)
    rng = np.random.default_rng(seed)
    chosen: set[int] = set()
    taken = 0
    in_pool = set(pool)
    for i in rng.permutation(pool).tolist():
        if taken >= wanted:
            break
        if i not in chosen:
            chosen.update(groups[key[i]])
            taken += sum(row in in_pool for row in groups[key[i]])
    left = [i for i in range(len(rows)) if i not in chosen]
    return rows.select(left), rows.select(sorted(chosen & in_pool))
