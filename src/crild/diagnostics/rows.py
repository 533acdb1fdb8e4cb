"""Rows as the diagnostics take them: a list of batches that is made once and passed over many times."""

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from crild.data.batching import Collator, batches_by_length
from crild.data.tokenise import tokenise
from crild.tasks.base import known

Batch = dict[str, Tensor]
"""``input_ids`` and ``attention_mask`` (B, L), ``labels`` (B,) or (B, C) with NaN where a row has none."""


def batches(
    rows: Dataset | pd.DataFrame,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int = 128,
    batch_size: int = 32,
    words: bool = False,
) -> list[Batch]:
    """Return texts as batches, short ones first.

    Args:
        rows: with ``text``, perhaps ``text_pair``, and ``labels``: a number a row (the class as the model numbers it),
            a list of numbers where there are several labels a row, ``None`` where there is none.
        tokenizer: of the models.
        max_length: tokens kept of a row.
        batch_size: rows of a batch.
        words: with the number of the word that each token belongs to, which some objectives look at.
    """
    if isinstance(rows, pd.DataFrame):
        rows = Dataset.from_pandas(rows, preserve_index=False)
    tokenised = tokenise(rows, tokenizer, max_length, words)
    return [batch for _, batch in batches_by_length(tokenised, Collator(tokenizer), batch_size)]


def labels_of(rows: list[Batch]) -> np.ndarray:
    """Return the labels of all batches: (n,) or (n, C)."""
    return torch.cat([batch["labels"] for batch in rows]).numpy()


def labelled(rows: list[Batch]) -> np.ndarray:
    """Return which rows have a label (n,)."""
    return known(torch.cat([batch["labels"] for batch in rows])).numpy()


def count(rows: list[Batch]) -> int:
    """Return the number of rows."""
    return sum(len(batch["labels"]) for batch in rows)
