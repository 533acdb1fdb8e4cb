"""A task: (text or text pair) -> class, number, ..., with its splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any

import pyarrow
from datasets import Dataset

from crild.config import DataConfig, PredictConfig, SuspiciousConfig, TrainConfig
from crild.data.columns import normalise, with_usual
from crild.data.corruption import few, flip, unbalance
from crild.data.glue import USUAL_LENGTH, GlueTask
from crild.data.rows import RowTexts, has, values, with_column
from crild.data.sources import Source, read_source
from crild.data.splits import HOLD_OUT_SHARE, MOST_HELD_OUT, MOST_SELECTION, SELECTION_SHARE, carve
from crild.errors import CrildError
from crild.tasks.base import TaskType
from crild.tasks.labels import Labels
from crild.tasks.registry import TASK_TYPES, task_type_of_labels

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Task:
    """A task and its splits, as raw text.

    Every split has ``row`` (its number in the data, from 0), ``text``, perhaps ``text_pair``, and ``labels``.

    Attributes:
        name: GLUE's name, or the task type's.
        task_type: classification, regression, ...
        names: of the classes; empty where there are none.
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
    task_type: TaskType
    names: list[str]
    generic: bool
    metric: str
    max_length: int
    train: Dataset
    selection: Dataset
    validation: dict[str, Dataset]
    notes: tuple[str, ...] = ()
    positive: int = 1

    @property
    def labelled(self) -> bool:
        """Whether any training row has a label."""
        return bool(has(self.train, "labels").any())

    @property
    def splits(self) -> dict[str, Dataset]:
        """All splits by name."""
        return {"train": self.train, "selection": self.selection, **self.validation}

    def with_splits(self, splits: dict[str, Dataset], **changes: Any) -> "Task":
        """Return the task with other rows, by the names of `splits`."""
        held_out = {name: splits[name] for name in self.validation}
        return replace(self, train=splits["train"], selection=splits["selection"], validation=held_out, **changes)


def load_task(config: TrainConfig, task_type: TaskType | None = None) -> Task:
    """Read a task to train on.

    Args:
        config, task_type: as in `split_task`.

    Raises:
        CrildError: the data cannot be used, or nothing can be learned from it; the message says why.
    """
    task = split_task(config, task_type)
    task.task_type.refuse_untrainable(values(task.train, "labels"), task.names, str(config.data))
    for name, rows in task.validation.items():
        refuse_strange(task, rows, f"{config.validation or config.data} ({name})")
    return task


def refuse_strange(task: Task, rows: Dataset, where: str) -> None:
    """Raise `CrildError` where rows to score on have labels, and none of them is one of the training rows'."""
    if not task.task_type.named:
        return
    ours, theirs = (
        {name for name, count in task.task_type.counts(values(each, "labels"), task.names).items() if count}
        for each in (task.train, rows)
    )
    if ours and theirs and not ours & theirs:
        raise CrildError(
            f"{where}: its labels {', '.join(sorted(theirs))} are none of the training rows' {', '.join(sorted(ours))}"
        )


def split_task(config: TrainConfig | SuspiciousConfig, task_type: TaskType | None = None) -> Task:
    """Read ``config.data`` (and ``config.validation``) and prepare the splits of `method.md` section 3, as they are.

    Args:
        config: names of files and columns, and the conditions: few rows, unbalanced classes, wrong labels.
        task_type: what the teacher does, where there is one.

    Raises:
        CrildError: the data cannot be used; the message says why.
    """
    source = read_source(named(config), config.data_revision)
    if "train" not in source.splits:
        raise CrildError(f"{config.data}: there is no train split; it has {', '.join(source.splits)}")
    train = normalise(source.splits["train"], config, where(source, "train"), source, numbered=True)
    validation = read_validation(config, source)
    if not validation:
        train, held_out = carve(train, HOLD_OUT_SHARE, MOST_HELD_OUT, config.data_seed)
        validation = {"held out": held_out}
        why = "validation" if config.validation else "no validation split"
        source.notes.append(f"{why}: {len(held_out)} rows of {config.data} are held out for it (data seed)")
    if config.imbalance is not None:
        train = unbalance(train, config.imbalance, config.data_seed)
    if config.train_rows is not None:
        train = few(train, config.train_rows, config.data_seed)
    train, selection = carve(train, SELECTION_SHARE, MOST_SELECTION, config.data_seed)
    if len(train) == 0:
        raise CrildError(f"{config.data}: too few rows to train on")
    task = make_task(config, source, {"train": train, "selection": selection, **validation}, task_type)
    return with_conditions(task, config)


def read_validation(config: DataConfig, source: Source) -> dict[str, Dataset]:
    """Return the splits to score on, by name: of ``config.validation``, else the source's own; none if held out."""
    if config.validation == "held-out":
        return {}
    if config.validation:
        other = read_source(config.validation)
        name, rows = other.validation() or next(iter(other.splits.items()))
        rows = normalise(rows, config, where(other, name), other, own=False, numbered=True)
        source.notes += other.notes
        return {name if name != "train" else "validation": rows}
    found = source.validation()
    splits = {found[0]: found[1], **source.extra_validation()} if found else {}
    return {name: normalise(rows, config, where(source, name), source, numbered=True) for name, rows in splits.items()}


def with_conditions(task: Task, config: TrainConfig | SuspiciousConfig) -> Task:
    """Return the task with wrong labels where they are asked for; refuse conditions that mean nothing on this data."""
    if config.imbalance is not None and not task.task_type.named:
        raise CrildError(f"--imbalance is about classes, and this is a {task.task_type.name} task")
    if (config.label_noise or config.imbalance is not None) and not task.labelled:
        raise CrildError(f"--label-noise and --imbalance change labels, and {config.data} has none")
    if not config.label_noise:
        return task
    another = partial(task.task_type.another, classes=len(task.names))
    return replace(
        task,
        train=flip(task.train, config.label_noise, another, config.data_seed, 0),
        selection=flip(task.selection, config.label_noise, another, config.data_seed, 1),
    )


def load_rows(config: DataConfig, task_type: TaskType, usual: Mapping[str, str] = NOTHING) -> tuple[Task, Dataset]:
    """Read the rows to evaluate on: the validation split of ``config.data``, else all its rows.

    Args:
        config: names of files and columns.
        task_type: what the classifier does.
        usual: columns that it was trained on, see `crild.data.columns.with_usual`.

    Raises:
        CrildError: the data cannot be used; the message says why.
    """
    if config.validation == "held-out":
        raise CrildError("--validation held-out is for training; name the data to score on")
    source = read_source(config.validation or named(config), None if config.validation else config.data_revision)
    name, rows = source.validation() or next(iter(source.splits.items()))
    config = with_usual(config, usual, rows.column_names)
    rows = normalise(rows, config, where(source, name), source, own=not config.validation, numbered=True)
    task = make_task(config, source, {"train": rows, "selection": rows, name: rows}, task_type)
    return task, task.train


def named(config: DataConfig) -> str:
    """Return the name of the data.

    Raises:
        CrildError: there is none.
    """
    if not config.data:
        raise CrildError("--data is missing: a GLUE folder, a file or a hub name")
    return config.data


def make_task(config: DataConfig, source: Source, parts: dict[str, Dataset], task_type: TaskType | None) -> Task:
    """Put a task together from rows with raw labels; what the user says goes before what the source's layout says.

    The labels of all splits are understood as one column, so that one label means the same in each.

    Args:
        config: what the user says.
        source: where the rows come from.
        parts: ``train``, ``selection``, and the splits to score on.
        task_type: what the teacher does, where there is one.
    """
    layout = layout_of(source, config)
    raw = [label for rows in parts.values() for label in values(rows, "raw_label")]
    if config.task != "auto":
        task_type = TASK_TYPES[config.task]
    elif task_type is None:
        task_type = task_type_of_layout(layout) or task_type_of_labels(raw)
    labels = read_labels(raw, f"{source.name}, labels", task_type, layout)
    column = iter(labels.values)
    done = {
        name: with_column(rows.remove_columns("raw_label"), "labels", list(islice(column, len(rows))))
        for name, rows in parts.items()
    }
    return Task(
        name=layout.name if layout else task_type.name,
        task_type=task_type,
        names=labels.names,
        generic=labels.generic,
        metric=config.metric or (layout.metric if layout else task_type.default_metric),
        max_length=config.max_length or (layout.max_length if layout else USUAL_LENGTH),
        train=done.pop("train"),
        selection=done.pop("selection"),
        validation=done,
        notes=tuple(source.notes),
    )


def read_labels(raw: Sequence[Any], where: str, task_type: TaskType, layout: GlueTask | None) -> Labels:
    """Return a label column, understood; a GLUE layout knows the names of its classes."""
    if layout is None or not task_type.named:
        return task_type.read(raw, where)
    return task_type.read(raw, where, layout.labels, layout.coded)


def layout_of(source: Source, config: DataConfig) -> GlueTask | None:
    """Return the GLUE task whose layout decides, unless the user names columns."""
    return None if config.text or config.label else source.task


def task_type_of_layout(layout: GlueTask | None) -> TaskType | None:
    """Return the task type of a GLUE layout."""
    if layout is None:
        return None
    return TASK_TYPES["regression" if layout.labels is None else "classification"]


def where(source: Source, split: str) -> str:
    """Return how to call a split in messages."""
    return source.name if len(source.splits) == 1 else f"{source.name} ({split})"


def load_unlabelled(config: PredictConfig, usual: Mapping[str, str] = NOTHING) -> tuple[Dataset, list[str]]:
    """Read the rows to answer: those that `load_rows` reads, but labels.

    Args:
        config, usual: as there.

    Returns:
        Rows with ``row``, ``text``, perhaps ``text_pair``, and empty ``labels``; and notes.
    """
    named_columns = DataConfig(data=config.data, text=config.text, text_pair=config.text_pair)
    source = read_source(named(named_columns), config.data_revision)
    name, rows = source.validation() or next(iter(source.splits.items()))
    texts = {option: column for option, column in usual.items() if option != "label"}
    named_columns = with_usual(named_columns, texts, rows.column_names)
    return without_labels(normalise(rows, named_columns, where(source, name), source, numbered=True), source)


def without_labels(rows: Dataset, source: Source) -> tuple[Dataset, list[str]]:
    """Return normalised rows with empty ``labels``, and the notes but those about labels."""
    notes = [note for note in source.notes if "no label" not in note]
    return with_column(rows.remove_columns("raw_label"), "labels", pyarrow.nulls(len(rows))), notes


def load_texts(config: DataConfig, name: str) -> tuple[Dataset, list[str]]:
    """Read a supplementary source: its unlabelled split, else its train split (or only file), labels dropped.

    Returns:
        Rows with ``text``, perhaps ``text_pair``, and empty ``labels``; and notes.
    """
    source = read_source(name)
    split = next(split for split in ("unlabelled", "train", *source.splits) if split in source.splits)
    rows = source.splits[split]
    text = config.text if config.text in rows.column_names else None
    pair = config.text_pair if config.text_pair in rows.column_names else None
    plain = replace(config, data=name, text=text, text_pair=pair, label=None)
    rows = normalise(rows, plain, where(source, split), source, own=False)
    return without_labels(rows, source)


def other_texts(config: DataConfig) -> tuple[list[str], bool]:
    """Read the texts of ``config.data`` but those of the rows that `load_rows` reads; all of it where nothing is left.

    Returns:
        Texts, each of a pair for itself; and whether they are others than those of `load_rows`.
    """
    source = read_source(named(config), config.data_revision)
    found = None if config.validation else source.validation() or next(iter(source.splits.items()))
    others = {name: rows for name, rows in source.splits.items() if found is None or name != found[0]}
    parts = [
        normalise(rows, config, where(source, name), source, own=False)
        for name, rows in (others or source.splits).items()
    ]
    return [text for rows in parts for texts in RowTexts(rows) for text in texts], bool(others)
