"""A task: (text or text pair) -> class or number, with its splits."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset

from crild.config import DataConfig, TrainConfig
from crild.data.corruption import few, flip, labelled, unbalance
from crild.data.glue import GlueTask
from crild.data.labels import Labels, is_missing, read_labels
from crild.data.sources import Source, read_source
from crild.errors import CrildError, nearest
from crild.metrics import default_metric

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

HOLD_OUT_SHARE, MOST_HELD_OUT = 0.2, 2000
SELECTION_SHARE, MOST_SELECTION = 0.1, 1000


@dataclass
class Columns:
    """Which columns of a source hold text, second text and label."""

    text: str
    pair: str | None
    label: str | None


@dataclass
class Task:
    """A task and its splits, as raw text. Every split has ``text``, perhaps ``text_pair``, and ``labels``.

    Attributes:
        name: GLUE's name, or the kind.
        kind: ``classification`` or ``regression``.
        names: of the classes; empty in regression.
        generic: the data's labels are numbers, not names.
        metric: what is scored.
        max_length: tokens kept of a row.
        train: what is trained on; rows without a label have ``None``.
        selection: carved from train, for every choice.
        validation: only scored; by split name, the first one is the score.
        notes: what the user should know about how the data was read.
        positive: the class that F1 is about, where there are two.
    """

    name: str
    kind: str
    names: list[str]
    generic: bool
    metric: str
    max_length: int
    train: Dataset
    selection: Dataset
    validation: dict[str, Dataset]
    notes: list[str] = field(default_factory=list)
    positive: int = 1

    @property
    def labelled(self) -> bool:
        """Whether any training row has a label."""
        return any(label is not None for label in self.train["labels"])


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


def load_task(config: DataConfig, kind: str = "auto") -> Task:
    """Read ``config.data`` (and ``config.validation``) and prepare the splits of `method.md` section 3.

    Args:
        config: names of files and columns.
        kind: what the teacher decides, where there is one; else ``auto``.

    Raises:
        CrildError: the data cannot be used; the message says why.
    """
    if not config.data:
        raise CrildError("--data is missing: a GLUE folder, a file or a hub name")
    source = read_source(config.data)
    splits = dict(source.splits)
    train = splits.get("train")
    if train is None:
        raise CrildError(f"{config.data}: there is no train split; it has {', '.join(splits)}")
    train = normalise(train, config, where(config.data, "train", splits), source)
    validation: dict[str, Dataset] = {}
    if config.validation and config.validation != "held-out":
        other = read_source(config.validation)
        name, rows = other.validation() or next(iter(other.splits.items()))
        validation[name if name != "train" else "validation"] = normalise(
            rows, config, where(config.validation, name, other.splits), other
        )
        source.notes += other.notes
    elif config.validation is None and (found := source.validation()):
        for name, rows in {found[0]: found[1], **source.extra_validation()}.items():
            validation[name] = normalise(rows, config, where(config.data, name, splits), source)
    else:
        train, held = carve(train, HOLD_OUT_SHARE, MOST_HELD_OUT, config.data_seed)
        validation["held out"] = held
        why = "validation" if config.validation else "no validation split"
        source.notes.append(f"{why}: {len(held)} rows of {config.data} are held out for it (data seed)")
    if isinstance(config, TrainConfig):
        if config.imbalance is not None:
            train = unbalance(train, config.imbalance, config.data_seed)
        if config.train_rows is not None:
            train = few(train, config.train_rows, config.data_seed)
    train, selection = carve(train, SELECTION_SHARE, MOST_SELECTION, config.data_seed)
    if len(train) == 0:
        raise CrildError(f"{config.data}: too few rows to train on")

    labels, done = with_labels({"train": train, "selection": selection, **validation}, source, kind, config)
    if isinstance(config, TrainConfig):
        check_corruption(config, labels, done["train"])
    if labels.kind == "classification":
        present = Counter(v for v in done["train"]["labels"] if v is not None)
        if len(present) == 1:
            only = labels.names[int(next(iter(present)))]
            raise CrildError(
                f"{config.data}: every training row has the label {only!r}; at least two classes are needed"
            )
    if isinstance(config, TrainConfig) and config.label_noise:
        for number, name in enumerate(("train", "selection")):
            seed = (config.data_seed, number)
            done[name] = flip(done[name], config.label_noise, len(labels.names), *seed)
    return make_task(config, source, labels, done["train"], done["selection"], {n: done[n] for n in validation})


def check_corruption(config: TrainConfig, labels: Labels, train: Dataset) -> None:
    """Refuse conditions that mean nothing on this data."""
    if config.imbalance is not None and labels.kind == "regression":
        raise CrildError("--imbalance is about classes, and this is a regression task")
    if (config.label_noise or config.imbalance is not None) and not any(v is not None for v in train["labels"]):
        raise CrildError(f"--label-noise and --imbalance change labels, and {config.data} has none")


def load_rows(config: DataConfig, kind: str) -> tuple[Task, Dataset]:
    """Read the rows to evaluate on: the validation split of ``config.data``, else all its rows.

    Raises:
        CrildError: the data cannot be used; the message says why.
    """
    if not config.data:
        raise CrildError("--data is missing: a GLUE folder, a file or a hub name")
    if config.validation == "held-out":
        raise CrildError("--validation held-out is for training; name the data to score on")
    source = read_source(config.validation or config.data)
    name, rows = source.validation() or next(iter(source.splits.items()))
    rows = normalise(rows, config, where(source.name, name, source.splits), source)
    labels, done = with_labels({"rows": rows}, source, kind, config)
    task = make_task(config, source, labels, done["rows"], done["rows"], {name: done["rows"]})
    return task, done["rows"]


def make_task(
    config: DataConfig,
    source: Source,
    labels: Labels,
    train: Dataset,
    selection: Dataset,
    validation: dict[str, Dataset],
) -> Task:
    """Put a task together; what the user says goes before what the source's layout says."""
    layout = layout_of(source, config)
    return Task(
        name=layout.name if layout else labels.kind,
        kind=labels.kind,
        names=labels.names,
        generic=labels.generic,
        metric=config.metric or (layout.metric if layout else default_metric(labels.kind)),
        max_length=config.max_length or (layout.max_length if layout else 128),
        train=train,
        selection=selection,
        validation=validation,
        notes=source.notes,
    )


def layout_of(source: Source, config: DataConfig) -> GlueTask | None:
    """Return the GLUE task whose layout decides, unless the user names columns."""
    return None if config.text or config.label else source.task


def with_labels(
    parts: dict[str, Dataset], source: Source, kind: str, config: DataConfig
) -> tuple[Labels, dict[str, Dataset]]:
    """Understand the labels of all splits as one column, so that an index means the same class in each.

    Returns:
        The labels, and the splits with ``labels`` in place of ``raw_label``.
    """
    layout = layout_of(source, config)
    wanted = config.task if config.task != "auto" else kind
    if wanted == "auto" and layout is not None and layout.labels is None:
        wanted = "regression"
    names = layout.labels if layout is not None and wanted != "regression" else None
    raw = [label for rows in parts.values() for label in rows["raw_label"]]
    labels = read_labels(raw, f"{source.name}, labels", wanted, names, coded=layout.coded if layout else False)
    column = iter(labels.values)
    done = {
        name: rows.remove_columns("raw_label").add_column("labels", [next(column) for _ in range(len(rows))])
        for name, rows in parts.items()
    }
    return labels, done


def where(name: str, split: str, splits: dict[str, Any]) -> str:
    """Return how to call a split in messages."""
    return name if len(splits) == 1 else f"{name} ({split})"


def load_texts(config: DataConfig, name: str) -> tuple[Dataset, list[str]]:
    """Read a supplementary source: its unlabelled split, else its train split (or only file), labels dropped.

    Returns:
        Rows with ``text``, perhaps ``text_pair``, and empty ``labels``; and notes.
    """
    source = read_source(name)
    split = next(split for split in ("unlabelled", "train", *source.splits) if split in source.splits)
    rows = source.splits[split]
    plain = DataConfig(data=name)
    if config.text in rows.column_names:
        plain.text = config.text
    if config.text_pair in rows.column_names:
        plain.text_pair = config.text_pair
    rows = normalise(rows, plain, where(name, split, source.splits), source)
    notes = [note for note in source.notes if "no label column" not in note]
    return rows.remove_columns("raw_label").add_column("labels", [None] * len(rows)), notes
