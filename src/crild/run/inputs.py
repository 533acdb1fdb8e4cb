"""From names of files to tokenised splits, with labels as the teacher numbers and names them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from crild.config import DistillConfig, FinetuneConfig, TrainConfig
from crild.data.augment import Corpus
from crild.data.doctor import Checks, Cut, check_data, findings
from crild.data.rows import kept, values, with_column
from crild.data.splits import folds, key_hashes
from crild.data.task import Task, load_task, load_texts
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.models import loading
from crild.run.origin import Origin
from crild.tasks.labels import Alignment, align_labels, is_generic, parse_label_map


@dataclass(frozen=True)
class Inputs:
    """Data of a run: read, split, checked, tokenised.

    Attributes:
        task: what is learned, and every split as text.
        tokenizer: of both models.
        train, selection, validation: tokenised.
        supplementary: further texts, tokenised; or ``None``.
        corpus: what rewrites of the training texts are made from; ``None`` without ``--augment``.
        folds: the fold of each training row, ``None`` where it has no label; ``None`` without ``--cross-fit``.
        checks: what is known about the rows.
        max_length: tokens kept of a row.
        labels_by_position: labels were matched with the teacher's by position alone.
        notes: what the user should know.
    """

    task: Task
    tokenizer: PreTrainedTokenizerBase
    train: Dataset
    selection: Dataset
    validation: Mapping[str, Dataset]
    supplementary: Dataset | None
    corpus: Corpus | None
    folds: list[int | None] | None
    checks: Checks
    max_length: int
    labels_by_position: bool
    notes: tuple[str, ...]

    def split(self, name: str) -> Dataset:
        """Return ``selection`` or a validation split."""
        return self.selection if name == "selection" else self.validation[name]

    def fold(self, number: int) -> list[int]:
        """Return the training rows of a fold."""
        assert self.folds is not None
        return [i for i, fold in enumerate(self.folds) if fold == number]

    def read_with(self, tokenizer: PreTrainedTokenizerBase) -> "Inputs":
        """Return the rows that are scored as another tokenizer cuts them."""

        def read(rows: Dataset) -> Dataset:
            return tokenise(rows, tokenizer, self.max_length)

        validation = {name: read(rows) for name, rows in self.task.validation.items()}
        return replace(self, tokenizer=tokenizer, selection=read(self.task.selection), validation=validation)

    @property
    def scored_on(self) -> str:
        """The validation split that the score is of."""
        return next(iter(self.validation))


def read_inputs(
    config: DistillConfig | FinetuneConfig,
    origin: Origin,
    words: bool,
    supplementary: str | None,
    augment: str | None = None,
    cross_fit: int | None = None,
) -> Inputs:
    """Read, split, check and tokenise.

    Args:
        config: the options.
        origin: where the run starts: it names labels, and its tokenizer is used.
        words: an objective looks at the words of a text.
        supplementary: further texts, if there are any.
        augment: which rewrites of the training texts, if any.
        cross_fit: folds of the labelled training rows, if any.

    Raises:
        CrildError: the data cannot be used; the message says why.
    """
    task, alignment = read_task(config, origin)
    notes = [*task.notes, *([alignment.note] if alignment and alignment.note else [])]
    tokenizer = origin.tokenizer
    if words and not tokenizer.is_fast:
        raise CrildError("these features need to know the words of a text, which this tokenizer (a slow one) does not")
    length = task.max_length
    if origin.longest < length:
        notes.append(f"maximum length {length} is more than the models take; {origin.longest} is used")
        length = origin.longest
    train = tokenise(task.train, tokenizer, length, words)
    checks = check_data(task, Cut.of(train, length, origin.longest))
    notes += [finding.text for finding in findings(checks)]
    texts = None
    if supplementary:
        further, more = read_supplementary(config, supplementary, task)
        texts = tokenise(further, tokenizer, length, words)
        notes += more
    return Inputs(
        task=task,
        tokenizer=tokenizer,
        train=train,
        selection=tokenise(task.selection, tokenizer, length, words),
        validation={name: tokenise(rows, tokenizer, length) for name, rows in task.validation.items()},
        supplementary=texts,
        corpus=Corpus.of(task.train, augment, tokenizer.mask_token) if augment else None,
        folds=folds(task.train, cross_fit, config.data_seed) if cross_fit else None,
        checks=checks,
        max_length=length,
        labels_by_position=alignment is not None and alignment.by_index,
        notes=tuple(notes),
    )


def read_task(config: TrainConfig, origin: Origin) -> tuple[Task, Alignment | None]:
    """Read the data, with labels as a fine-tuned teacher numbers and names them."""
    label_map = parse_label_map(config.label_map)
    task = load_task(config, origin.task_type)
    task.task_type.find_metric(task.metric, len(task.names) or 2)
    if origin.teacher is None:
        if not task.labelled:
            raise CrildError(f"{config.data} has no labels, which fine-tuning needs; give a fine-tuned --teacher")
        return rename_labels(task, label_map), None
    if task.task_type is not origin.task_type:
        theirs = origin.task_type.name if origin.task_type else "nothing"
        raise CrildError(f"{config.data} holds a {task.task_type.name} task, and the teacher does {theirs}")
    if not task.task_type.named:
        return task, None
    names = loading.label_names(origin.teacher.config)
    if not task.names:
        return replace(task, names=names), None
    alignment = align_labels(task.names, task.generic, names, label_map)
    return realign(task, alignment, names), alignment


def realign(task: Task, alignment: Alignment, names: list[str]) -> Task:
    """Return the task with its labels as the teacher's indices and names."""

    def moved(rows: Dataset) -> Dataset:
        labels: list[Any] = [
            None if label is None else task.task_type.aligned(label, alignment.index, len(names))
            for label in values(rows, "labels")
        ]
        return with_column(rows, "labels", labels)

    if is_generic(names) and not task.generic:  # LABEL_0 says less than the data's own names
        given = dict(zip(alignment.index, task.names, strict=True))
        names = [given.get(i, name) for i, name in enumerate(names)]
    return task.with_splits(
        {name: moved(rows) for name, rows in task.splits.items()},
        names=names,
        positive=alignment.index[1] if len(alignment.index) == 2 else 1,
    )


def rename_labels(task: Task, label_map: dict[str, str]) -> Task:
    """Return the task with its classes renamed, where no teacher has names of its own yet."""
    unknown = [old for old in label_map if old not in task.names]
    if unknown:
        raise CrildError(f"--label-map: the data has no label {unknown[0]!r}; it has {', '.join(task.names)}")
    renamed = [label_map.get(name, name) for name in task.names]
    if len(set(renamed)) < len(renamed):
        raise CrildError("--label-map: two labels get the same name; without a fine-tuned teacher it only renames")
    return replace(task, names=renamed)


def read_supplementary(config: TrainConfig, name: str, task: Task) -> tuple[Dataset, list[str]]:
    """Return further texts that are in no held-out split, and notes."""
    texts, notes = load_texts(config, name)
    held_out = np.concatenate([key_hashes(rows) for rows in (task.selection, *task.validation.values())])
    others = np.isin(key_hashes(texts), held_out, invert=True)
    if not others.all():
        notes.append(f"{(~others).sum()} supplementary texts dropped, they are in selection or validation")
        texts = kept(texts, others)
    if not len(texts):
        raise CrildError(f"{name}: every text is in selection or validation")
    if ("text_pair" in texts.column_names) != ("text_pair" in task.train.column_names):
        notes.append("supplementary and target data differ in kind: single texts and pairs of texts")
    return texts, notes
