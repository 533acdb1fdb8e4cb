"""Rows as Arrow tables: read a block at a time, chosen from and given columns, without a list of them all.

What `datasets` makes of a table or a new column it names by a hash of every value, for which it copies them all; and
what it chooses it reads row by row from then on. So tables are made, filtered and added to here.
"""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow
from datasets import Dataset
from datasets.fingerprint import generate_random_fingerprint

BLOCK = 10_000  # rows that are Python objects at a time


def dataset(table: pyarrow.Table) -> Dataset:
    """Return a table as a data set, without a copy."""
    return Dataset(table, fingerprint=generate_random_fingerprint())


def table_of(rows: Dataset) -> pyarrow.Table:
    """Return all rows as a table; a copy only where they were chosen from others."""
    return rows.with_format("arrow")[:]


def column(rows: Dataset, name: str) -> pyarrow.ChunkedArray:
    """Return a column of all rows."""
    return table_of(rows.select_columns(name)).column(0)


def values(rows: Dataset, name: str) -> list[Any]:
    """Return a column as a list in which equal numbers or texts are one object: a million labels take 8 MB."""
    whole = column(rows, name)
    if pyarrow.types.is_nested(whole.type) or pyarrow.types.is_null(whole.type):
        return rows[name][:]
    coded = whole.combine_chunks().dictionary_encode()
    distinct = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
    return distinct[coded.indices.fill_null(len(distinct) - 1).to_numpy()].tolist()


def has(rows: Dataset, name: str) -> np.ndarray:
    """Return which rows have a value in a column (n,)."""
    return column(rows, name).is_valid().to_numpy()


def blocks(rows: Dataset) -> Iterator[tuple[int, Dataset]]:
    """Yield all rows, `BLOCK` at a time, each with the number of its first row; of no rows an empty one."""
    for start in range(0, max(1, len(rows)), BLOCK):
        yield start, rows.select(range(start, min(start + BLOCK, len(rows))))


def kept(rows: Dataset, mask: np.ndarray) -> Dataset:
    """Return the rows of which ``mask`` (n,) says so."""
    return rows if mask.all() else dataset(table_of(rows).filter(pyarrow.array(mask)))


def with_column(rows: Dataset, name: str, added: Any) -> Dataset:
    """Return the rows with one more column, or another in place of one.

    Args:
        rows: of any kind.
        name: the column's.
        added: a list of values, or numbers (n,) or (n, C).
    """
    table = table_of(rows)
    if name in table.column_names:
        table = table.drop_columns(name)
    if isinstance(added, np.ndarray) and added.ndim == 2:
        added = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(added.reshape(-1)), added.shape[1])
    if not isinstance(added, pyarrow.Array | pyarrow.ChunkedArray):
        added = pyarrow.array(added)
    return dataset(table.append_column(name, added).replace_schema_metadata(None))


def stacked(first: Dataset, second: Dataset) -> Dataset:
    """Return the rows of one and then those of another, with the columns and types of the first."""
    table = table_of(first)
    return dataset(pyarrow.concat_tables([table, table_of(second).select(table.column_names).cast(table.schema)]))


def token_ids(rows: Dataset) -> Iterator[np.ndarray]:
    """Yield the token ids of each row of tokenised ones, as 64-bit numbers."""
    for _, block in blocks(rows.select_columns("input_ids")):
        ids = column(block, "input_ids").combine_chunks()
        yield from np.split(ids.flatten().to_numpy().astype(np.int64), np.cumsum(ids.value_lengths())[:-1])


class RowTexts(Sequence[tuple[str, ...]]):
    """Each row's text, or the two of a pair; a sequence that reads them when they are asked for."""

    def __init__(self, rows: Dataset) -> None:
        names = [name for name in ("text", "text_pair") if name in rows.column_names]
        self.table = table_of(rows.select_columns(names))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, place: int) -> tuple[str, ...]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[str, ...]]: ...
    def __getitem__(self, place: int | slice) -> tuple[str, ...] | list[tuple[str, ...]]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        return tuple(each[place].as_py() for each in self.table.columns)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        for batch in self.table.to_batches(max_chunksize=BLOCK):
            yield from zip(*(each.to_pylist() for each in batch.columns), strict=True)
