"""Raw text -> token ids, and the checks that a user should see before the first step."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from transformers import BatchEncoding, PreTrainedTokenizerBase

from crild.data.splits import keys
from crild.data.task import Task


def tokenise(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, words: bool = False) -> Dataset:
    """Return rows with ``input_ids``, ``attention_mask``, perhaps ``token_type_ids``, ``length``, ``truncated`` and
    ``labels``; texts are cut to ``max_length`` tokens, never padded.

    With ``words`` also the number of the word that each token belongs to, -1 for special tokens.
    """

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        texts = [batch["text"]] + ([batch["text_pair"]] if "text_pair" in batch else [])
        encoded = tokenizer(*texts, truncation=True, max_length=max_length, padding=False)
        out = dict(encoded)
        if words:
            out["words"] = [words_of(encoded, i) for i in range(len(out["input_ids"]))]
        out["length"] = [len(ids) for ids in out["input_ids"]]
        full = [i for i, length in enumerate(out["length"]) if length >= max_length]
        longer: set[int] = set()
        if full:
            whole = tokenizer(*([column[i] for i in full] for column in texts), truncation=False, verbose=False)
            longer = {i for i, ids in zip(full, whole["input_ids"], strict=True) if len(ids) > max_length}
        out["truncated"] = [i in longer for i in range(len(out["length"]))]
        return out

    drop = [name for name in rows.column_names if name != "labels"]
    return rows.map(encode, batched=True, remove_columns=drop, load_from_cache_file=False, keep_in_memory=True)


def words_of(encoded: BatchEncoding, row: int) -> list[int]:
    """Return the number of each token's word, counted through both texts of a pair; -1 for special tokens."""
    numbers: dict[tuple[int | None, int], int] = {}
    places = zip(encoded.sequence_ids(row), encoded.word_ids(row), strict=True)
    return [-1 if word is None else numbers.setdefault((text, word), len(numbers)) for text, word in places]


@dataclass(frozen=True)
class Checks:
    """What to know about the data before training.

    Attributes:
        labels: number of training rows by label name; regression: an empty dictionary.
        unlabelled: training rows without a label.
        truncated: share of training texts cut to the maximum length.
        shared: validation rows whose text is also in train.
    """

    labels: dict[str, int]
    unlabelled: int
    truncated: float
    shared: int


def check_data(task: Task, train: Dataset) -> Checks:
    """Count labels, truncated texts and rows shared by train and validation."""
    values = list(task.train["labels"])
    counts = Counter(task.names[int(v)] for v in values if v is not None) if task.names else Counter()
    seen = set(keys(task.train)) | set(keys(task.selection))
    return Checks(
        labels={name: counts[name] for name in task.names},
        unlabelled=sum(v is None for v in values),
        truncated=sum(train["truncated"]) / len(train),
        shared=sum(key in seen for rows in task.validation.values() for key in keys(rows)),
    )
