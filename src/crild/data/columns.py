"""Which columns of a source hold text, second text and label; rows with those columns alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow
from datasets import ClassLabel, Dataset

from crild.config import DataConfig, build
from crild.data.rows import blocks, dataset, has
from crild.data.sources import Source, csv_header
from crild.errors import CrildError, first_line, nearest
from crild.tasks.labels import MOST_CODED_CLASSES, is_missing

PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("query", "passage"),
    ("query", "document"),
    ("text", "text_pair"),
)
TEXTS = ("text", "sentence", "sentence1", "question", "premise", "review", "tweet", "content", "document", "body",
         "comment", "message", "query", "utterance", "title")  # fmt: skip
LABELS = ("label", "labels", "gold_label", "class", "category", "target", "sentiment", "intent", "topic", "score",
          "similarity", "rating", "stars", "is_duplicate", "quality")  # fmt: skip


NAMING = ("text", "text_pair", "label")  # options that name columns
BITS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


C = TypeVar("C", bound=DataConfig)


@dataclass(frozen=True)
class Columns:
    """Which columns of a source hold text, second text and label."""

    text: str
    pair: str | None
    label: str | None


def find_columns(columns: list[str], config: DataConfig, where: str, source: Source, own: bool = True) -> Columns:
    """Recognise the columns by their common names, or take those that the user names.

    Args:
        columns: names of all.
        config: what the user names: columns of ``--data``.
        where: for messages.
        source: a GLUE task's columns are known.
        own: this is ``--data``. Another file (validation, supplementary texts) need not have the named columns; those
            that it lacks are recognised.

    Raises:
        CrildError: there is no such column, two options name the same one, or no text column is recognised.
    """
    named, absent = named_columns(config), absent_columns(config, columns)
    if own:
        refuse_absent_columns(config, columns, where)
    for name, count in Counter(named.values()).items():
        if count > 1:
            both = " and ".join(f"--{option.replace('_', '-')}" for option in named if named[option] == name)
            raise CrildError(f"{both} name the same column, {name!r}; the columns are {', '.join(columns)}")
    text, pair, label = (None if option in absent else named.get(option) for option in ("text", "text_pair", "label"))
    by_lower = {name.lower(): name for name in columns}
    if text is None:
        first, second = recognise(by_lower, source)
        # A second text is none where the user names one text alone.
        text, pair = first, pair or (second if config.text is None or "text_pair" in absent else None)
    elif "text_pair" in absent:
        pair = recognise(by_lower, source)[1]
    if text is None or ("text_pair" in absent and pair is None):
        missing = "text_pair" if text is not None else "text"
        which = "second text column" if text is not None else "text column"
        cure = "name it with --text (and --text-pair)"
        if missing in absent:
            cure = f"it has no column {absent[missing]!r} (--{missing.replace('_', '-')}) either; rename one so"
        elif not own:
            cure = "rename one to text"
        raise CrildError(f"{where}: no {which} is recognised among {', '.join(columns)}: {cure}")
    if label is None and source.task is not None and source.task.label in columns and "label" not in named:
        label = source.task.label
    if label is None:
        label = next((by_lower[n] for n in LABELS if n in by_lower and by_lower[n] not in (text, pair)), None)
    if label is None and not own and "label" in absent:
        raise CrildError(
            f"{where}: no label column is recognised among {', '.join(columns)}: it has no column {absent['label']!r} "
            "(--label) either; rename one so"
        )
    roles = {"the text": text, "the second text": pair, "the label": label}
    for name, count in Counter(name for name in roles.values() if name is not None).items():
        if count > 1:
            raise CrildError(
                f"{where}: column {name!r} would be {' and '.join(r for r in roles if roles[r] == name)}; name the "
                f"right ones with --text and --label; the columns are {', '.join(columns)}"
            )
    return Columns(text, pair, label)


def named_columns(config: DataConfig) -> dict[str, str]:
    """Return the columns that options name, by option."""
    return {option: name for option in NAMING if (name := getattr(config, option)) is not None}


def absent_columns(config: DataConfig, columns: list[str]) -> dict[str, str]:
    """Return the named columns that are not there, by option."""
    absent = {}
    for option, name in named_columns(config).items():
        wanted = label_columns(name, columns) if option == "label" else []
        if lacking := [each for each in wanted or [name] if each not in columns]:
            absent[option] = lacking[0]
    return absent


def refuse_absent_columns(config: DataConfig, columns: list[str], where: str) -> None:
    """Raise `CrildError` where a named column is not there."""
    for name in absent_columns(config, columns).values():
        raise CrildError(
            f"{where}: there is no column {name!r}{nearest(name, columns)}; the columns are {', '.join(columns)}"
        )


def refuse_columns(config: DataConfig, known_later: bool = False) -> None:
    """Refuse CSV files by their header: a mistyped column is told before their rows are read.

    Args:
        config: what the user names.
        known_later: a run may know the others, see `with_usual`.

    Raises:
        CrildError: as `find_columns` does.
    """
    for name in (config.data, config.validation):
        path = Path(name or "").expanduser()
        if path.suffix.lower() == ".csv" and path.is_file() and (columns := csv_header(path)):
            if not known_later:
                find_columns(columns, config, str(name), Source(str(name), {}), own=name == config.data)
            elif name == config.data:
                refuse_absent_columns(config, columns, str(name))


def with_usual(config: C, usual: Mapping[str, str], columns: list[str]) -> C:
    """Return the options with the columns that a run was trained on, where nobody names any and the data has them.

    Args:
        config: what the user names.
        usual: the run's, by option.
        columns: of the data.
    """
    named = named_columns(config)
    for together in (("text", "text_pair"), ("label",)):
        new = {option: usual[option] for option in together if option in usual}
        is_named = not set(together).isdisjoint(named) or not set(new.values()).isdisjoint(named.values())
        if not is_named and not absent_columns(build(DataConfig, new), columns):
            config = replace(config, **new)  # type: ignore[arg-type]
    return config


def recognise(by_lower: dict[str, str], source: Source) -> tuple[str | None, str | None]:
    """Return the columns of text and second text with common names, or the GLUE task's."""
    if source.task is not None:
        return source.task.text, source.task.pair
    for first, second in PAIRS:
        if first in by_lower and second in by_lower:
            return by_lower[first], by_lower[second]
    return next((by_lower[name] for name in TEXTS if name in by_lower), None), None


def normalise(
    rows: Dataset, config: DataConfig, where: str, source: Source, own: bool = True, numbered: bool = False
) -> Dataset:
    """Return rows with the columns ``text``, perhaps ``text_pair``, and ``raw_label``; rows without text dropped.

    ``raw_label`` is text, or a list of texts where the column holds lists; ``None`` where a row has no label.

    Args:
        rows: with all their columns.
        config, where, source, own: as in `find_columns`.
        numbered: with a column ``row``: which of ``rows`` it was, counted from 0.

    Raises:
        CrildError: a column is missing or holds something else than text.
    """
    columns = find_columns(rows.column_names, config, where, source, own)
    for name in (columns.text, columns.pair):
        if name and hasattr(rows.features[name], "decode_example"):  # a picture or a sound: reading one opens files
            raise CrildError(f"{where}: column {name!r} does not hold text; name the one that does with --text")
    if columns.text == config.text and columns.text.lower() in LABELS and columns.label is None:
        distinct = len(set(values_of(rows, columns.text, where)))
        if distinct <= min(MOST_CODED_CLASSES, len(rows) // 2):
            raise CrildError(
                f"{where}: --text {columns.text} names what looks like the label column ({distinct} different values "
                f"in {len(rows)} rows); the columns are {', '.join(rows.column_names)}"
            )
    parts = [normalised(block, columns, where, first if numbered else None) for first, block in blocks(rows)]
    found = dataset(pyarrow.concat_tables(parts, promote_options="default"))
    if len(found) < len(rows):
        source.notes.append(f"{where}: {len(rows) - len(found)} rows without text dropped")
    if not len(found):
        raise CrildError(f"{where}: no row has text in column {columns.text!r}")
    if columns.label is None:
        source.notes.append(
            f"{where}: no label column is recognised among {', '.join(rows.column_names)}; rows count as unlabelled "
            "(--label names it)"
        )
    elif not has(found, "raw_label").any():
        source.notes.append(f"{where}: column {columns.label!r} holds no label; rows count as unlabelled")
    return found


def normalised(rows: Dataset, columns: Columns, where: str, first: int | None) -> pyarrow.Table:
    """Return some of the rows of `normalise`, the first of which has the number ``first``, if they are numbered.

    Raises:
        CrildError: a column holds what it may not.
    """
    texts = [values_of(rows, name, where) for name in (columns.text, columns.pair) if name]
    for name, values in zip((columns.text, columns.pair), texts, strict=False):
        if any(not isinstance(value, str) for value in values if value is not None):
            raise CrildError(f"{where}: column {name!r} does not hold text; name the one that does with --text")
    several = label_columns(columns.label, rows.column_names)
    feature = rows.features.get(columns.label) if columns.label else None
    if several:
        raw = lists_of_labels(rows, several, where)
    else:
        raw = values_of(rows, columns.label, where) if columns.label else [None] * len(rows)
    members = (each for value in raw for each in (value if isinstance(value, list) else [value]))
    if any(isinstance(each, dict | list | bytes) for each in members):
        raise CrildError(
            f"{where}: column {columns.label!r} holds objects; a label is a word, a number, or a list of words"
        )
    keep = [i for i, both in enumerate(zip(*texts, strict=True)) if all(text and text.strip() for text in both)]
    out: dict[str, Any] = {} if first is None else {"row": [first + i for i in keep]}
    out |= {name: [column[i] for i in keep] for name, column in zip(("text", "text_pair"), texts, strict=False)}
    try:
        labels = [raw_label(raw[i], feature) for i in keep]
    except ValueError as error:  # of a number that stands for no class
        raise CrildError(f"{where}: column {columns.label!r}: {error}") from None
    listed = any(isinstance(label, list) for label in labels)  # which types say, or lists without a label have none
    out["raw_label"] = pyarrow.array(labels, pyarrow.list_(pyarrow.string()) if listed else None)
    return pyarrow.table(out)


def values_of(rows: Dataset, name: str, where: str) -> list[Any]:
    """Return a column as a whole list: a `datasets` column reads its table anew at every index.

    Raises:
        CrildError: it holds what Python knows no value for, such as bytes that are no UTF-8 in place of text.
    """
    try:
        values: list[Any] = rows[name][:]
    except Exception as error:
        raise CrildError(f"{where}: column {name!r} cannot be read ({first_line(error)})") from None
    return values


def label_columns(label: str | None, columns: list[str]) -> list[str]:
    """Return the columns of 0 and 1 that ``--label a,b,c`` names; none where it names one column."""
    return [name.strip() for name in label.split(",")] if label and label not in columns and "," in label else []


def lists_of_labels(rows: Dataset, columns: list[str], where: str) -> list[Any]:
    """Return the names of the columns that say 1, row by row; ``None`` where all of them are empty.

    Raises:
        CrildError: a column says something else than 0 or 1.
    """
    said: dict[str, list[bool | None]] = {}
    for name in columns:
        values = values_of(rows, name, where)
        said[name] = [None if is_missing(value) else BITS.get(str(value).strip().lower()) for value in values]
        for value, bit in zip(values, said[name], strict=True):
            if bit is None and not is_missing(value):
                raise CrildError(f"{where}: column {name!r} says {str(value)!r}; a column for each label says 0 or 1")
    return [
        None if all(bit is None for bit in bits) else [name for name, bit in zip(columns, bits, strict=True) if bit]
        for bits in zip(*said.values(), strict=True)
    ]


def raw_label(value: Any, feature: Any = None) -> str | list[str] | None:
    """Return a label as text, a list of labels as a list of texts, and ``None`` for no label.

    An empty list is a label: the row is known to have none of the classes.
    """
    if isinstance(value, list):
        names = getattr(feature, "feature", None)  # of a list's members
        return [label for label in (raw_label(each, names) for each in value) if isinstance(label, str)]
    if isinstance(feature, ClassLabel):
        return None if value is None or value < 0 else feature.int2str(value)
    return None if is_missing(value) else str(value)
