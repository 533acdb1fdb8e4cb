"""Which columns of a source hold text, second text and label; rows with those columns alone."""

from dataclasses import dataclass
from typing import Any

from datasets import ClassLabel, Dataset

from crild.config import DataConfig
from crild.data.labels import is_missing
from crild.data.sources import Source
from crild.errors import CrildError, nearest

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


@dataclass
class Columns:
    """Which columns of a source hold text, second text and label."""

    text: str
    pair: str | None
    label: str | None


def find_columns(columns: list[str], config: DataConfig, where: str, source: Source) -> Columns:
    """Recognise the columns by their common names, or take those that the user names.

    Raises:
        CrildError: there is no such column, or no text column is recognised.
    """
    for option in ("text", "text_pair", "label"):
        name = getattr(config, option)
        if name is not None and name not in columns:
            raise CrildError(
                f"{where}: there is no column {name!r}{nearest(name, columns)}; the columns are {', '.join(columns)}"
            )
    by_lower = {name.lower(): name for name in columns}
    text, pair, label = config.text, config.text_pair, config.label
    if source.task is not None and text is None:
        text, pair = source.task.text, pair or source.task.pair
        label = label or (source.task.label if source.task.label in columns else None)
    if text is None:
        for first, second in PAIRS:
            if first in by_lower and second in by_lower:
                text, pair = by_lower[first], pair or by_lower[second]
                break
        else:
            text = next((by_lower[name] for name in TEXTS if name in by_lower), None)
    if text is None:
        raise CrildError(
            f"{where}: no text column is recognised among {', '.join(columns)}: name it with --text (and --text-pair)"
        )
    if label is None:
        label = next((by_lower[n] for n in LABELS if n in by_lower and by_lower[n] not in (text, pair)), None)
    return Columns(text, pair, label)


def normalise(rows: Dataset, config: DataConfig, where: str, source: Source) -> Dataset:
    """Return rows with the columns ``text``, perhaps ``text_pair``, and ``raw_label``; rows without text dropped."""
    columns = find_columns(rows.column_names, config, where, source)
    # Whole lists: a `datasets` column reads its table anew at every index.
    texts = [rows[name][:] for name in (columns.text, columns.pair) if name]
    for name, values in zip((columns.text, columns.pair), texts, strict=False):
        if any(not isinstance(value, str) for value in values if value is not None):
            raise CrildError(f"{where}: column {name!r} does not hold text")
    raw = rows[columns.label][:] if columns.label else [None] * len(rows)
    feature = rows.features.get(columns.label) if columns.label else None
    if isinstance(feature, ClassLabel):
        raw = [None if v is None or v < 0 else feature.int2str(v) for v in raw]
    keep = [i for i in range(len(rows)) if all(column[i] and column[i].strip() for column in texts)]
    if len(keep) < len(rows):
        source.notes.append(f"{where}: {len(rows) - len(keep)} rows without text dropped")
    if not keep:
        raise CrildError(f"{where}: no row has text in column {columns.text!r}")
    if columns.label is None:
        source.notes.append(
            f"{where}: no label column is recognised among {', '.join(rows.column_names)}; rows count as unlabelled "
            "(--label names it)"
        )
    out: dict[str, Any] = {"text": [texts[0][i] for i in keep]}
    if len(texts) > 1:
        out["text_pair"] = [texts[1][i] for i in keep]
    out["raw_label"] = [None if is_missing(raw[i]) else str(raw[i]) for i in keep]
    if columns.label is not None and all(label is None for label in out["raw_label"]):
        source.notes.append(f"{where}: column {columns.label!r} holds no label; rows count as unlabelled")
    return Dataset.from_dict(out)
