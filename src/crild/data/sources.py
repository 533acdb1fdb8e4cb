"""Files, folders and hub names -> raw rows, split by split."""

import json
import re
from collections.abc import Iterator
from csv import Error as CsvError
from csv import reader as csv_reader
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

from crild.data import glue, tweets
from crild.errors import CrildError

VALIDATION_NAMES = ("validation", "dev", "valid", "val", "eval", "dev_matched", "validation_matched", "test")
EXTRA_VALIDATION = ("dev_mismatched", "validation_mismatched")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".txt")


@dataclass
class Source:
    """Raw rows of a data source.

    Attributes:
        name: what the user called it.
        splits: rows by split name; a single file has the one split ``train``.
        task: the GLUE task, where the files are in its official layout.
        notes: what the user should know about how it was read.
    """

    name: str
    splits: dict[str, Dataset]
    task: glue.GlueTask | None = None
    notes: list[str] = field(default_factory=list)

    def validation(self) -> tuple[str, Dataset] | None:
        """Return the split to score on, by name."""
        for name in VALIDATION_NAMES:
            if name in self.splits:
                return name, self.splits[name]
        return None

    def extra_validation(self) -> dict[str, Dataset]:
        """Return further splits to score on (MNLI's mismatched one)."""
        return {name: self.splits[name] for name in EXTRA_VALIDATION if name in self.splits}


def read_source(name: str) -> Source:
    """Read a GLUE folder, a CSV, TSV, JSONL, Parquet or text file, a folder of such files, a saved `datasets`
    directory, the demo's tweets (``demo`` or ``demo:1200``, see `crild.data.tweets`), or a hub name (``owner/name`` or
    ``owner/name:configuration``).

    Raises:
        CrildError: nothing is there, or it cannot be read.
    """
    path = Path(name).expanduser()
    if tweets.is_tweets(name) and not path.exists():
        return Source(name, tweets.tweet_splits(name))
    if path.is_file():
        source = Source(name, {})
        source.splits["train"] = read_file(path, source)
        return source
    if path.is_dir():
        return read_folder(name, path)
    if path.suffix.lower() in SUFFIXES or not re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+)?|[\w-]+:[\w.-]+", name):
        raise CrildError(f"no such file or folder: {name}")
    return read_hub(name)


def read_hub(name: str) -> Source:
    """Load a data set from the Hugging Face hub."""
    repository, _, configuration = name.partition(":")
    try:
        loaded = load_dataset(repository, configuration or None)
    except Exception as error:
        raise CrildError(
            f"{name}: no file or folder of that name, and no hub data set could be loaded ({first_line(error)})"
        ) from None
    return Source(name, dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded})


def read_folder(name: str, path: Path) -> Source:
    """Read a `datasets` directory, or a folder that holds one file a split."""
    if (path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists():
        try:
            loaded = load_from_disk(str(path))
        except Exception as error:
            raise CrildError(f"{name}: not a readable `datasets` directory ({first_line(error)})") from None
        return Source(name, dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded})
    source = Source(name, {})
    known = ("train", *VALIDATION_NAMES, *EXTRA_VALIDATION)
    files = {p.stem: p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES and p.stem in known}
    if "train" not in files and not any(n in files for n in VALIDATION_NAMES):
        raise CrildError(
            f"{name}: a data folder needs a train file (train.tsv, train.csv, train.jsonl, train.parquet), none is here"
        )
    has_dev = any(n in files for n in VALIDATION_NAMES if n != "test")
    for split, file in files.items():
        if split == "test" and has_dev:  # GLUE's test files carry no labels
            continue
        source.splits[split] = read_file(file, source)
    return source


def read_file(path: Path, source: Source) -> Dataset:
    """Read one file; note in ``source`` what was recognised or dropped."""
    if path.stat().st_size == 0:
        raise CrildError(f"{path}: the file is empty")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        try:
            rows = Dataset.from_parquet(str(path))
        except Exception as error:
            raise CrildError(f"{path}: not a readable Parquet file ({first_line(error)})") from None
    elif suffix == ".tsv":
        rows = read_tsv(path, source)
    elif suffix == ".csv":
        rows = rows_to_dataset(path, list(quoted_rows(path, read_text(path), ",")), source)
    elif suffix in (".jsonl", ".json"):
        rows = read_jsonl(path)
    elif suffix == ".txt":
        lines = [line for line in read_text(path).split("\n") if line.strip()]
        rows = Dataset.from_dict({"text": lines})
    else:
        raise CrildError(f"{path}: unknown kind of file; use one of {', '.join(SUFFIXES)}")
    if len(rows) == 0:
        raise CrildError(f"{path}: the file has no rows")
    return rows


def read_text(path: Path) -> str:
    """Return a file's text, without a byte order mark."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CrildError(
            f"{path}: line {line} is not UTF-8 text (byte 0x{data[error.start]:02x}); convert the file, for example "
            f"with `iconv -f LATIN1 -t UTF-8`"
        ) from None


def read_tsv(path: Path, source: Source) -> Dataset:
    """Read a TSV file: GLUE's official layout has no quoting, what spreadsheets write has."""
    text = read_text(path)
    rows = [line.split("\t") for line in text.split("\n") if line]
    if not rows:
        raise CrildError(f"{path}: the file is empty")
    if glue.is_cola(rows[0]):
        source.task = glue.COLA
        return rows_to_dataset(path, [glue.COLA_COLUMNS, *rows], source)
    task = glue.recognise(rows[0], path.resolve().parent.name)
    if task is not None:
        source.task = task
    elif '"' in text and looks_quoted(rows):
        try:
            quoted = list(quoted_rows(path, text, "\t"))
        except CrildError:
            quoted = []
        if quoted and all(len(row) == len(quoted[0]) for row in quoted):
            rows = quoted
    return rows_to_dataset(path, rows, source)


def looks_quoted(rows: list[list[str]]) -> bool:
    """Whether every cell that holds a quotation mark is properly quoted, or rows break without quoting."""
    ragged = any(len(row) != len(rows[0]) for row in rows)
    return ragged or all(re.fullmatch(r'"([^"]|"")*"', cell) for row in rows for cell in row if '"' in cell)


def quoted_rows(path: Path, text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of CSV text with standard quoting."""
    try:
        for row in csv_reader(StringIO(text, newline=""), delimiter=delimiter, strict=True):
            if row:
                yield row
    except CsvError as error:
        raise CrildError(f"{path}: not readable as CSV ({error})") from None


def rows_to_dataset(path: Path, rows: list[list[str]], source: Source) -> Dataset:
    """Return a data set of string columns from rows with a header; rows of another width are dropped and counted."""
    if not rows:
        raise CrildError(f"{path}: the file is empty")
    header = [name.strip() for name in rows[0]]
    repeated = {name for name in header if name and header.count(name) > 1}
    if repeated:
        raise CrildError(f"{path}: column {sorted(repeated)[0]!r} appears twice in the header")
    body = [row for row in rows[1:] if len(row) == len(header)]
    dropped = len(rows) - 1 - len(body)
    if dropped:
        source.notes.append(f"{path}: {dropped} rows dropped, they do not have the header's {len(header)} columns")
    return Dataset.from_dict({name: [row[i] for row in body] for i, name in enumerate(header)})


def read_jsonl(path: Path) -> Dataset:
    """Read one JSON object a line (or one JSON list of objects)."""
    text = read_text(path)
    records: list[dict[str, Any]] = []
    try:
        if text.lstrip().startswith("["):
            records = json.loads(text)
        else:
            for number, line in enumerate(text.split("\n"), 1):  # noqa: B007 (read in the message below)
                if line.strip():
                    records.append(json.loads(line))
    except json.JSONDecodeError as error:
        number = error.lineno if text.lstrip().startswith("[") else number
        raise CrildError(f"{path}: line {number} is not valid JSON ({error.msg})") from None
    if not all(isinstance(record, dict) for record in records):
        raise CrildError(f'{path}: every line must be a JSON object such as {{"text": ..., "label": ...}}')
    columns = dict.fromkeys(name for record in records for name in record)
    try:
        return Dataset.from_dict({name: [record.get(name) for record in records] for name in columns})
    except Exception as error:
        raise CrildError(f"{path}: a column mixes kinds of values ({first_line(error)})") from None


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
