"""Raw text -> token ids."""

import hashlib
import os
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import datasets
import numpy as np
import tokenizers
import transformers
from datasets import Dataset
from pyarrow import ArrowInvalid
from transformers import BatchEncoding, PreTrainedTokenizerBase

from crild.data.rows import BLOCK, column, dataset, with_column

MANY_ROWS, MOST_PROCESSES = 20_000, 8  # of a slow tokenizer
MANY_ROWS_OF_A_FAST_ONE = 200_000


def tokenise(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, words: bool = False) -> Dataset:
    """Return rows with ``input_ids``, ``attention_mask``, perhaps ``token_type_ids``, ``length``, ``truncated`` and
    ``labels``; texts are cut to ``max_length`` tokens, never padded.

    With ``words`` also the number of the word that each token belongs to, -1 for special tokens. What depends on the
    texts alone is kept in the cache of `datasets` (`cache_file`), so that no text is tokenised twice.
    """
    texts = rows.select_columns([name for name in ("text", "text_pair") if name in rows.column_names])
    name = fingerprint(texts, tokenizer, max_length, words)
    tokenise_texts = partial(
        texts.map,
        partial(encode, tokenizer=tokenizer, max_length=max_length, words=words),
        batched=True,
        remove_columns=texts.column_names,
        new_fingerprint=name,
        num_proc=processes(len(texts), tokenizer),
        desc="tokenising",
    )
    file = cache_file(name)
    try:
        tokenised = tokenise_texts(cache_file_name=file, keep_in_memory=file is None)
    except (OSError, ArrowInvalid):  # a full disk, a broken file: the cache is a convenience
        tokenised = tokenise_texts(load_from_cache_file=False, keep_in_memory=True)
    # As a table that is in no file (though its pages are the file's): from one that is, `datasets` would write what is
    # selected or added later into the cache too.
    return with_column(dataset(tokenised.data.table), "labels", column(rows, "labels"))


def encode(
    batch: dict[str, list[Any]], tokenizer: PreTrainedTokenizerBase, max_length: int, words: bool
) -> dict[str, list[Any]]:
    """Return the columns of `tokenise` for a batch of texts, but labels."""
    texts = [batch["text"]] + ([batch["text_pair"]] if "text_pair" in batch else [])
    encoded = tokenizer(*texts, truncation=True, max_length=max_length, padding=False)
    out = dict(encoded)
    if words:
        out["words"] = [words_of(encoded, i) for i in range(len(out["input_ids"]))]
    out["length"] = [len(ids) for ids in out["input_ids"]]
    full = [i for i, length in enumerate(out["length"]) if length >= max_length]
    longer: set[int] = set()
    if encoded.encodings is not None:
        longer = {i for i in full if encoded.encodings[i].overflowing}
    elif full:  # a slow tokenizer does not say what it cut off
        whole = tokenizer(*([column[i] for i in full] for column in texts), truncation=False, verbose=False)
        longer = {i for i, ids in zip(full, whole["input_ids"], strict=True) if len(ids) > max_length}
    out["truncated"] = [i in longer for i in range(len(out["length"]))]
    return out


def fingerprint(texts: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, words: bool) -> str:
    """Return a name for what `encode` makes of texts: a hash of all that it depends on, this file included."""
    digest = hashlib.sha256()
    for name in texts.column_names:
        for batch in texts.select_columns(name).iter(BLOCK):
            values = batch[name]
            digest.update(np.array([len(value) for value in values]).tobytes())  # no text runs into the next
            digest.update("".join(values).encode("utf-8", "surrogatepass"))
        digest.update(name.encode())
    digest.update(serialised(tokenizer))
    digest.update(repr((max_length, words, transformers.__version__, tokenizers.__version__)).encode())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:32]


def serialised(tokenizer: PreTrainedTokenizerBase) -> bytes:
    """Return all that decides what a tokenizer does, the same before and after it is used."""
    if tokenizer.is_fast:
        backend = deepcopy(tokenizer.backend_tokenizer)
        backend.no_truncation()  # what the last call asked for
        backend.no_padding()
        own = [backend.to_str()]
    else:
        with TemporaryDirectory() as folder:
            files = map(Path, tokenizer.save_pretrained(folder))
            own = [path.read_bytes().hex() for path in sorted(files) if path.is_file()]
    split = getattr(tokenizer, "split_special_tokens", None)
    used = (type(tokenizer).__name__, tokenizer.truncation_side, tokenizer.model_input_names, split)
    return repr((own, used)).encode()


def cache_file(name: str) -> str | None:
    """Return where to keep tokenised rows, in the cache folder of `datasets`; ``None`` where nothing can be kept."""
    if not datasets.is_caching_enabled():
        return None
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "crild"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return str(folder / f"{name}.arrow")
    except OSError:
        return None


def processes(rows: int, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return how many processes tokenise: no process pays for few rows.

    A fast tokenizer has threads of its own, but what they find is made Python lists and written by one of them.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    many = MANY_ROWS_OF_A_FAST_ONE if tokenizer.is_fast else MANY_ROWS
    return min(cores, MOST_PROCESSES) if rows > many and cores > 1 else None


def words_of(encoded: BatchEncoding, row: int) -> list[int]:
    """Return the number of each token's word, counted through both texts of a pair; -1 for special tokens."""
    numbers: dict[tuple[int | None, int], int] = {}
    places = zip(encoded.sequence_ids(row), encoded.word_ids(row), strict=True)
    return [-1 if word is None else numbers.setdefault((text, word), len(numbers)) for text, word in places]
