"""From tokenised rows to batches: dynamic padding, grouping by length, an order that is a function of its seed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, Protocol

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase

from crild.data.rows import column

MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
MOST_GROUPED = 50  # batches that are sorted by length together; at most a quarter of all, or epochs would repeat


class Anew(Protocol):
    """Rows that are others in every epoch, numbered through all of them: row i of epoch e is ``e * rows + i``."""

    def __len__(self) -> int: ...

    def lengths(self, epoch: int) -> np.ndarray:
        """Return the tokens of each row of an epoch."""


class LengthGroupedSampler(Sampler[int]):
    """Shuffle, then put rows of like length into the same batch.

    The order is a function of ``(seed, epoch)`` alone, so a resumed epoch sees the very same batches (the stock
    sampler draws from the global random state and does not resume bit for bit).

    Args:
        lengths: tokens of each row; or rows that say them for each epoch.
        batch_size: rows of a batch.
        seed: any number of integers.
        grouped: else batches are random.
        drop_last: leave an incomplete last batch out, if there is a complete one.
    """

    def __init__(
        self,
        lengths: Sequence[int] | Anew,
        batch_size: int,
        *seed: int,
        grouped: bool = True,
        drop_last: bool = False,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.grouped = grouped
        rows = len(lengths)
        self.rows = rows - rows % batch_size if drop_last and rows >= batch_size else rows
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; called by the trainer."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((*self.seed, self.epoch))
        order = rng.permutation(len(self.lengths))[: self.rows]
        anew = self.lengths if hasattr(self.lengths, "lengths") else None
        before = self.epoch * len(self.lengths) if anew else 0
        if not self.grouped:
            yield from map(int, order + before)
            return
        lengths = anew.lengths(self.epoch) if anew else np.asarray(self.lengths)
        group = max(1, min(MOST_GROUPED, len(order) // (4 * self.batch_size))) * self.batch_size
        batches: list[np.ndarray] = []
        for start in range(0, len(order), group):
            rows = order[start : start + group]
            rows = rows[np.argsort(-lengths[rows], kind="stable")]
            # Shuffled again inside the batch: neighbours become partners in interpolation.
            batches += [rng.permutation(rows[i : i + self.batch_size]) for i in range(0, len(rows), self.batch_size)]
        # An incomplete batch can only be the last one, else it would shift the borders of all that follow.
        last = [batches.pop()] if batches and len(batches[-1]) < self.batch_size else []
        rng.shuffle(batches)
        for batch in batches + last:
            yield from (batch + before).tolist()


class StepBatches(Sampler[list[int]]):
    """Divide the rows of each optimiser step among micro-batches and processes.

    What a step sees is the same however it is divided: no row is left out or taken twice, and rows that are mixed with
    each other stay together. So the division decides nothing but where a row is computed. Where a last step has fewer
    rows than there are parts, a process without any gets the first part as a stand-in, which must not count.

    Args:
        sampler: the order of all rows; a step takes the next ``size`` of them.
        size: rows of one step.
        accumulation: micro-batches of a step; the last step of an epoch has as many as it needs.
        partners: whom a row is mixed with, see `Recipe.partners`; ``None``: with nobody.
        process, processes: whose micro-batches these are.
    """

    def __init__(
        self,
        sampler: Any,
        size: int,
        accumulation: int = 1,
        partners: str | None = None,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.sampler, self.size, self.accumulation, self.partners = sampler, size, accumulation, partners
        self.process, self.processes = process, processes

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; called by the trainer."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch."""
        return -(-len(self.sampler) // self.size)

    def micro_batches(self, rows: int) -> int:
        """Return the micro-batches of a step over ``rows`` rows."""
        return min(self.accumulation, -(-rows * self.accumulation // self.size))

    def __len__(self) -> int:
        last = len(self.sampler) % self.size
        return len(self.sampler) // self.size * self.accumulation + (self.micro_batches(last) if last else 0)

    def __iter__(self) -> Iterator[list[int]]:
        order = iter(self.sampler)
        while rows := list(islice(order, self.size)):
            parts = self.parts(len(rows))
            for own in parts[self.process :: self.processes]:
                yield [rows[i] for i in own or parts[0]]

    def counted(self, step: int) -> list[bool]:
        """Return which of this process's micro-batches count in step 0, 1, ... of an epoch; others are stand-ins."""
        parts = self.parts(min(self.size, len(self.sampler) - step * self.size))
        return [bool(own) for own in parts[self.process :: self.processes]]

    def parts(self, rows: int) -> list[list[int]]:
        """Return a step's rows, by their place in it: of each micro-batch those of each process."""
        return divide(rows, self.micro_batches(rows) * self.processes, self.partners)


def divide(rows: int, parts: int, partners: str | None) -> list[list[int]]:
    """Return the numbers of ``rows`` rows in so many parts of like size, nobody apart from whom they are mixed with.

    Partners within a part are those within all rows, see `crild.models.interpolation.Mixing`.
    """
    units = {None: rows, "neighbour": max(1, rows // 2), "reversed": -(-rows // 2)}[partners]
    borders = [-(-units * part // parts) for part in range(parts + 1)]  # the first part is never empty
    out: list[list[int]] = []
    for start, end in pairwise(borders):
        if start == end:
            out.append([])
        elif partners == "neighbour":  # pairs, and a last three
            out.append(list(range(2 * start, rows if end == units else 2 * end)))
        elif partners == "reversed":  # from both ends
            out.append([*range(start, end), *range(max(end, rows - end), rows - start)])
        else:
            out.append(list(range(start, end)))
    return out


class Collator:
    """Pad the rows of a batch to its longest (or to ``length``); labels and logits become tensors."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, length: int | None = None) -> None:
        self.tokenizer = tokenizer
        self.length = length

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return ``input_ids``, ``attention_mask``, ... (B, L), ``labels`` (B,) or (B, C), ``teacher_logits`` (B, C).

        Labels are NaN where a row has none; so are ``fold_logits`` (B, C), where the rows have such a column.

        ``words`` (B, L) where the rows have them; padding belongs to no word, -1.
        """
        names = [name for name in MODEL_INPUTS if name in rows[0]]
        unpadded: Any = {name: [row[name] for row in rows] for name in names}
        padding = "longest" if self.length is None else "max_length"
        batch = self.tokenizer.pad(unpadded, padding=padding, max_length=self.length, return_tensors="pt")
        out: dict[str, torch.Tensor] = {name: batch[name] for name in names}
        if "words" in rows[0]:
            out["words"] = torch.full_like(out["input_ids"], -1)
            real = out["attention_mask"].bool()  # wherever the tokenizer puts its padding
            out["words"][real] = torch.tensor([word for row in rows for word in row["words"]])
        for name in ("labels", "teacher_logits", "fold_logits"):
            if name in rows[0]:
                out[name] = padded_numbers([row[name] for row in rows])
        return out


def padded_numbers(values: list[Any]) -> torch.Tensor:
    """Return numbers, or lists of as many each, as a tensor; ``None`` becomes NaN in the shape of the others."""
    shape = next(([float("nan")] * len(value) for value in values if isinstance(value, list)), float("nan"))
    return torch.tensor([shape if value is None else value for value in values], dtype=torch.float32)


def batches_by_length(
    rows: Dataset,
    collate: Callable[..., dict[str, torch.Tensor]],
    batch_size: int,
    numbers: Iterable[int] | None = None,
) -> Iterator[tuple[np.ndarray, dict[str, torch.Tensor]]]:
    """Yield (row numbers, batch) over all rows, short ones first: the fixed order of evaluation and prediction.

    ``numbers``: of the batches that are wanted, counted from 0; by default all.
    """
    order = np.argsort(column(rows, "length").to_numpy(), kind="stable")
    for number in range(-(-len(rows) // batch_size)) if numbers is None else numbers:
        chosen = order[number * batch_size : (number + 1) * batch_size]
        # A slice of the table, several times faster than its rows one by one.
        yield chosen, collate(list(as_rows(rows[chosen])))


def as_rows(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of columns."""
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
