"""Files, folders and hub names -> raw rows, split by split."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from csv import Error as CsvError
from csv import reader as csv_rows
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
from pyarrow import ArrowInvalid, BufferReader, csv, string
from pyarrow.csv import InvalidRow
from pyarrow.parquet import read_table as read_parquet

from crild import hub
from crild.data import glue, tweets
from crild.data.rows import BLOCK, dataset, table_of
from crild.errors import CrildError, first_line
from crild.paths import ROWS, is_path

VALIDATION_NAMES = ("validation", "dev", "valid", "val", "eval", "dev_matched", "validation_matched", "test")
EXTRA_VALIDATION = ("dev_mismatched", "validation_mismatched")
SPLITS = ("train", "unlabelled", *VALIDATION_NAMES, *EXTRA_VALIDATION)
MOST_DROPPED = 0.01  # of a file's lines


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


def read_source(name: str, revision: str | None = None) -> Source:
    """Read a GLUE folder, a CSV, TSV, JSONL, Parquet or text file, a folder of such files, a saved `datasets`
    directory, the demo's tweets (``demo`` or ``demo:1200``, see `crild.data.tweets`), or a hub name (``owner/name`` or
    ``owner/name:configuration``, both perhaps with ``@REVISION`` behind).

    Args:
        name: which of these.
        revision: branch, tag or commit of a hub name; a file or folder has none.

    Raises:
        CrildError: nothing is there, or it cannot be read.
    """
    path = Path(name).expanduser()
    if tweets.is_tweets(name) and not path.exists():
        return Source(name, tweets.tweet_splits(name))
    if path.exists() and revision is not None:
        raise CrildError(f"{name} is on this machine; a revision is for data sets on the hub")
    if path.is_file():
        source = Source(name, {})
        source.splits["train"] = read_file(path, source)
        return source
    if path.is_dir():
        return read_folder(name, path)
    if is_path(name) or not re.fullmatch(r"([\w.-]+/[\w.-]+(:[\w.-]+)?|[\w-]+:[\w.-]+)(@[\w./-]+)?", name):
        raise CrildError(f"no such file or folder: {name}")
    return read_hub(name, revision)


def read_hub(name: str, revision: str | None = None) -> Source:
    """Load a data set from the Hugging Face hub."""
    bare, revision = hub.pinned(name, revision)
    repository, _, configuration = bare.partition(":")
    if reason := hub.absent(repository, "dataset", revision):
        raise CrildError(f"{reason}: {name}")
    try:
        of_commit = hub.commit(repository, "dataset", revision) or revision
        loaded = load_dataset(repository, configuration or None, revision=of_commit)
    except Exception as error:
        raise CrildError(
            f"{name}: no file or folder of that name, and no hub data set could be loaded ({first_line(error)})"
        ) from None
    return Source(name, dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded})


def read_folder(name: str, path: Path) -> Source:
    """Read a `datasets` directory, or a folder that holds one file a split."""
    if (path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists():
        try:
            refuse_outside(path)
            loaded = load_from_disk(str(path))
        except CrildError:
            raise
        except Exception as error:
            raise CrildError(f"{name}: not a readable `datasets` directory ({first_line(error)})") from None
        return Source(name, dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded})
    source = Source(name, {})
    files = {p.stem: p for p in sorted(path.iterdir()) if p.suffix.lower() in ROWS and p.stem in SPLITS}
    if not files:
        raise CrildError(
            f"{name}: a data folder needs a train file (train.tsv, train.csv, train.jsonl, train.parquet), none is here"
        )
    has_dev = any(n in files for n in VALIDATION_NAMES if n != "test")
    for split, file in files.items():
        if split == "test" and has_dev:  # GLUE's test files carry no labels
            continue
        source.splits[split] = read_file(file, source)
    return source


def refuse_outside(path: Path) -> None:
    """Raise `CrildError` where a `datasets` directory names a file that is not in it."""
    for state in path.rglob("state.json"):
        for each in json.loads(state.read_text(encoding="utf-8"))["_data_files"]:
            if Path(each["filename"]).name != each["filename"]:
                raise CrildError(f"{state}: it names a file outside its folder, {each['filename']!r}")


def read_file(path: Path, source: Source) -> Dataset:
    """Read one file; note in ``source`` what was recognised or dropped."""
    if path.stat().st_size == 0:
        raise CrildError(f"{path}: the file is empty")
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        try:
            rows = dataset(read_parquet(path))  # `Dataset.from_parquet` would write a copy into its cache
        except Exception as error:
            raise CrildError(f"{path}: not a readable Parquet file ({first_line(error)})") from None
    elif suffix == ".tsv":
        rows = read_tsv(path, source)
    elif suffix == ".csv":
        rows = read_csv(path, source)
    elif suffix in (".jsonl", ".json"):
        rows = read_jsonl(path)
    elif suffix == ".txt":
        rows = dataset(pyarrow.table({"text": [line for line in lines_of(read_text(path)) if line.strip()]}))
    else:
        raise CrildError(f"{path}: unknown kind of file; use one of {', '.join(ROWS)}")
    if len(rows) == 0:
        raise CrildError(f"{path}: the file has no rows")
    return rows


def read_text(path: Path) -> str:
    """Return a file's text, without a byte order mark."""
    data = path.read_bytes()
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise CrildError(f"{path}: line {line} holds zero bytes, so it is no text; save the file as UTF-8 text")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        encoding = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "LATIN1"
        raise CrildError(
            f"{path}: line {line} is not UTF-8 text (byte 0x{data[error.start]:02x}); convert the file, for example "
            f"with `iconv -f {encoding} -t UTF-8`"
        ) from None


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines of a text without their ends; no list of them, nor a second copy of the text."""
    return (line.group() for line in re.finditer(r"^.*$", text, re.MULTILINE))


def read_csv(path: Path, source: Source) -> Dataset:
    """Read a CSV file; its delimiter (comma, semicolon or tab) is the one that its header has most of."""
    text = read_text(path).replace("\r", "\n").lstrip("\n")
    return to_dataset(path, parse(path, text, delimiter_of(text)), source)


def delimiter_of(text: str) -> str:
    """Return the delimiter of a CSV file's text: what its header has most of; of equals the first."""
    header = re.sub('"[^"]*"', "", text.partition("\n")[0])
    return max(",;\t", key=header.count)


def csv_header(path: Path) -> list[str] | None:
    """Return the columns of a CSV file by its first line alone; ``None`` where that is not enough to know them."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = next((line for line in file if line.strip()), "")
    except UnicodeDecodeError:
        return None
    whole = line.count('"') % 2 == 0
    return list(parse(path, line, delimiter_of(line)).rows.column_names) if whole and "\0" not in line else None


def read_tsv(path: Path, source: Source) -> Dataset:
    """Read a TSV file: GLUE's official layout has no quoting, what spreadsheets write has."""
    text = read_text(path).replace("\r", " ").lstrip("\n")
    first = next(rows_of(text), None)
    if first is None:
        raise CrildError(f"{path}: the file is empty")
    if glue.is_cola(first):
        source.task = glue.COLA
        text = "\t".join(glue.COLA_COLUMNS) + "\n" + text
    elif task := glue.recognise(first, path.resolve().parent.name):
        source.task = task
    elif '"' in text and looks_quoted(text) and not (table := parse(path, text, "\t")).dropped:
        return to_dataset(path, table, source)
    return to_dataset(path, parse(path, text, "\t", quoted=False), source)


def rows_of(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a TSV file's text, as they are without quoting."""
    return (line.split("\t") for line in lines_of(text) if line)


def looks_quoted(text: str) -> bool:
    """Whether every cell that holds a quotation mark is properly quoted, or rows break without quoting."""
    if len({len(row) for row in rows_of(text)}) > 1:
        return True
    return all(re.fullmatch(r'"([^"]|"")*"', cell) for row in rows_of(text) for cell in row if '"' in cell)


@dataclass(frozen=True)
class Table:
    """A file of delimited text, read.

    Attributes:
        rows: columns of strings.
        dropped: rows of another width than the header's.
        text: the file's.
    """

    rows: pyarrow.Table
    dropped: list[InvalidRow]
    text: str


def parse(path: Path, text: str, delimiter: str, quoted: bool = True) -> Table:
    """Read delimited text with a header.

    Args:
        path: for messages.
        text: with the header in its first line.
        delimiter: between cells.
        quoted: cells may be in quotation marks, with delimiters and line ends inside.

    Raises:
        CrildError: a column is there twice, or this is no such text.
    """
    if not text.strip():
        raise CrildError(f"{path}: the file is empty")
    dropped: list[InvalidRow] = []

    def drop(row: InvalidRow) -> str:
        dropped.append(row)
        return "skip"

    data = (text if text.endswith("\n") else text + "\n").encode()
    try:
        first = (
            next(csv_rows((f"{line}\n" for line in lines_of(text)), delimiter=delimiter))
            if quoted
            else text.partition("\n")[0].split(delimiter)
        )
        names = [name.strip() or f"({place})" for place, name in enumerate(first, 1)]  # spreadsheets have such columns
        if repeated := [name for name, count in Counter(names).items() if count > 1]:
            raise CrildError(f"{path}: column {repeated[0]!r} appears twice in the header")
        rows = csv.read_csv(
            BufferReader(data),
            # One block, because a row may not cross the border of two.
            csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names, skip_rows_after_names=1),
            csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                invalid_row_handler=drop,
            ),
            # Text as it stands: "null" and "NA" are words.
            csv.ConvertOptions(column_types=dict.fromkeys(names, string()), strings_can_be_null=False),
        )
    except (ArrowInvalid, CsvError) as error:
        raise CrildError(f"{path}: not readable as CSV ({first_line(error)})") from None
    return Table(rows, dropped, text)


def to_dataset(path: Path, table: Table, source: Source) -> Dataset:
    """Return a table's rows; note those of another width.

    Raises:
        CrildError: they are more than `MOST_DROPPED` of the lines, which is no accident. GLUE's own files are as they
            are.
    """
    rows, width = dataset(table.rows), len(table.rows.column_names)
    dropped = [row.text.strip("\n") for row in table.dropped]
    lines = sum(text.count("\n") + 1 for text in dropped)  # a lost quotation mark makes one row of many lines
    if source.task is None and lines > MOST_DROPPED * (len(rows) + lines):
        numbers, place = [], 0
        for text in dropped[:3]:
            place = table.text.find("\n" + text, place) + 1
            numbers.append(str(table.text.count("\n", 0, place) + 1))
        more = ", ..." if len(dropped) > len(numbers) else ""
        raise CrildError(
            f"{path}: {lines} of {len(rows) + lines} rows do not have the header's {width} columns "
            f"(line{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}{more}): put texts that hold the delimiter in "
            '"quotation marks", or use another delimiter, as tabs in a .tsv file'
        )
    if lines:
        source.notes.append(f"{path}: {lines} rows dropped, they do not have the header's {width} columns")
    return rows


def read_jsonl(path: Path) -> Dataset:
    """Read one JSON object a line (or one JSON list of objects)."""
    text = read_text(path)
    records = records_of(path, text)
    parts: list[pyarrow.Table] = []
    try:
        while part := list(islice(records, BLOCK)):
            parts.append(table_of(Dataset.from_dict(columns_of(part))).replace_schema_metadata(None))
        return dataset(pyarrow.concat_tables(parts, promote_options="default"))
    except CrildError:
        raise
    except Exception:  # a column is of no type, or of another one in a later part
        columns = columns_of(list(records_of(path, text)))
    try:
        return Dataset.from_dict(columns)
    except Exception:
        raise CrildError(f"{path}: {no_column(columns)}") from None


def records_of(path: Path, text: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file's text, or of the JSON list that it is.

    Raises:
        CrildError: it is no such text.
    """
    listed = text.lstrip().startswith("[")
    try:
        found = json.loads(text, parse_constant=number_of) if listed else lines_of(text)
        for number, each in enumerate(found, 1):  # noqa: B007 (read in the message below)
            if not listed and not each.strip():
                continue
            record = each if listed else json.loads(each, parse_constant=number_of)
            if not isinstance(record, dict):
                raise CrildError(f'{path}: every line must be a JSON object such as {{"text": ..., "label": ...}}')
            yield record
    except CrildError:
        raise
    except (ValueError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else first_line(error)
        why = "nested too deeply" if isinstance(error, RecursionError) else why
        number = getattr(error, "lineno", 1) if listed else number
        raise CrildError(f"{path}: line {number} is not valid JSON ({why})") from None


def columns_of(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return objects as columns; ``None`` where one lacks a name."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def number_of(name: str) -> float | None:
    """Return what a number stands for that JSON itself does not know: ``NaN`` is nothing, as ``null``."""
    return None if name == "NaN" else float(name)


def no_column(columns: dict[str, list[Any]]) -> str:
    """Say which of some columns make no table, and why."""
    for name, values in columns.items():
        try:
            Dataset.from_dict({name: values})
        except UnicodeEncodeError:
            return f"column {name!r} holds half of a character (such as \\ud83d), which is no text"
        except OverflowError:
            return f"column {name!r} holds a number of more than 64 bits; write it as text"
        except Exception as error:
            return f"column {name!r} mixes kinds of values ({first_line(error)}); write all of them as text"
    return "its columns make no table"
