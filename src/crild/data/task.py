"""A task: (text or text pair) -> class or number, with its splits."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset

from crild.config import DataConfig, TrainConfig
from crild.data.columns import normalise
from crild.data.corruption import few, flip, unbalance
from crild.data.glue import GlueTask
from crild.data.labels import Labels, read_labels
from crild.data.sources import Source, read_source
from crild.data.splits import HOLD_OUT_SHARE, MOST_HELD_OUT, MOST_SELECTION, SELECTION_SHARE, carve
from crild.errors import CrildError
from crild.metrics import default_metric


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
            rows, config, where(config.validation, name, other.splits), other, own=False
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
    rows = normalise(rows, config, where(source.name, name, source.splits), source, own=not config.validation)
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
    """Read a supplementary source: its train split (or only file), labels dropped.

    Returns:
        Rows with ``text``, perhaps ``text_pair``, and empty ``labels``; and notes.
    """
    source = read_source(name)
    split, rows = ("train", source.splits["train"]) if "train" in source.splits else next(iter(source.splits.items()))
    plain = DataConfig(data=name)
    if config.text in rows.column_names:
        plain.text = config.text
    if config.text_pair in rows.column_names:
        plain.text_pair = config.text_pair
    rows = normalise(rows, plain, where(name, split, source.splits), source, own=False)
    notes = [note for note in source.notes if "no label column" not in note]
    return rows.remove_columns("raw_label").add_column("labels", [None] * len(rows)), notes
