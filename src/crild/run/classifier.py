"""A saved classifier, and the rows of a data source that it is scored on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild import inference
from crild.config import DataConfig, EvaluateConfig, ExportConfig, PredictConfig
from crild.data.columns import NAMING
from crild.data.glue import USUAL_LENGTH
from crild.data.task import Task, load_rows
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.models import loading
from crild.models.architecture import longest
from crild.run.folder import CONFIG, RunFolder
from crild.run.models import device
from crild.run.targets import Target
from crild.tasks.base import TaskType
from crild.tasks.labels import align_labels, parse_label_map
from crild.tasks.registry import task_type_of


@dataclass(frozen=True)
class Classifier:
    """A saved classifier.

    Attributes:
        path: its folder, or hub name.
        model, tokenizer: loaded.
        task_type: what it does.
        names: of its classes; of a regression, of its one output.
        reads: columns that the run was told to read which it is of, by option.
    """

    path: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    task_type: TaskType
    names: list[str]
    reads: Mapping[str, str] = field(default_factory=dict)

    def logits(self, rows: Dataset, asked: int | None, default: int = USUAL_LENGTH) -> np.ndarray:
        """Return the logits (rows, C) of texts, cut to ``asked`` tokens, else to what the tokenizer says, else to
        ``default``; never to more than the model takes."""
        return inference.predict(
            self.model, tokenise(rows, self.tokenizer, self.length(asked, default)), self.tokenizer
        )

    def length(self, asked: int | None, default: int = USUAL_LENGTH) -> int:
        """Return how many tokens of a text are read, see `logits`."""
        own = self.tokenizer.model_max_length
        length = asked or (own if own < 10_000 else default)  # tokenizers without a length say 1e30
        return min(length, longest(self.model))

    def columns(self, name: str, logits: np.ndarray) -> dict[str, Any]:
        """Return the answers as a column ``name``, and each class's probability as ``name_probability_CLASS``."""
        out: dict[str, Any] = {name: self.task_type.spelled(self.task_type.answers(logits), self.names)}
        probabilities = self.task_type.probabilities(logits)
        if probabilities is not None:
            out |= {f"{name}_probability_{each}": probabilities[:, i] for i, each in enumerate(self.names)}
        return out


def run_of(name: str) -> RunFolder | None:
    """Return the finished run that a folder holds; ``None`` where it is a model, or the name of one.

    Raises:
        CrildError: the run is not finished, or there are several.
    """
    folder = Path(name).expanduser()
    is_run = (folder / CONFIG).exists() or any(folder.glob(f"*/{CONFIG}"))
    return RunFolder.open(folder) if is_run and not (folder / "config.json").exists() else None


def load_classifier(name: str, role: str, config: EvaluateConfig | PredictConfig | ExportConfig) -> Classifier:
    """Load a classifier; a run directory stands for the model that the run was for.

    Args:
        name: folder or hub name.
        role: how messages call it.
        config: may code of the hub run, and which revision.

    Raises:
        CrildError: it cannot be loaded, or has no trained head.
    """
    reads: dict[str, str] = {}
    if run := run_of(name):
        name = str(run.classifier_path)
        reads = {option: said for option in NAMING if (said := run.options.get(option)) is not None}
    model, trained = loading.load_model(name, role, None, config.trust_remote_code, config.revision)
    if not trained:
        raise CrildError(f"{role}: {name} has no trained classification head; fine-tune it first")
    tokenizer = loading.load_tokenizer(name, role, config.trust_remote_code, config.revision)
    placed: PreTrainedModel = model.to(device())  # type: ignore[arg-type]
    return Classifier(name, placed, tokenizer, task_type_of(model.config), loading.label_names(model.config), reads)


@dataclass(frozen=True)
class RowsToScore:
    """Rows of a data source that a classifier is scored on.

    Attributes:
        task: as it was read.
        rows: those with a label; all of them where none has one.
        target: their labels, as the classifier numbers them; ``None`` where none has one.
        notes: what the user should know.
    """

    task: Task
    rows: Dataset
    target: Target | None
    notes: list[str]


def rows_to_score(classifier: Classifier, config: DataConfig) -> RowsToScore:
    """Read the rows of ``config.data`` to score a classifier on.

    Raises:
        CrildError: the data cannot be used, is of another task, or has other labels.
    """
    task_type, names = classifier.task_type, classifier.names
    task, rows = load_rows(config, task_type, classifier.reads)
    if task.task_type is not task_type:
        raise CrildError(
            f"{config.data} holds a {task.task_type.name} task, and {classifier.path} does {task_type.name}"
        )
    notes = list(task.notes)
    known = [i for i, label in enumerate(rows["labels"][:]) if label is not None]
    if not known:
        return RowsToScore(task, rows, None, notes)
    rows = rows.select(known)
    truth, positive = rows["labels"][:], 1
    if task_type.named:
        alignment = align_labels(task.names, task.generic, names, parse_label_map(config.label_map))
        truth = [task_type.aligned(label, alignment.index, len(names)) for label in truth]
        positive = alignment.index[1] if len(alignment.index) == 2 else 1
        notes += [alignment.note] if alignment.note else []
    measure = task_type.find_metric(task.metric, len(names), positive)
    target = Target(task_type, np.arange(len(rows)), np.array(truth), measure, task.metric, positive)
    return RowsToScore(task, rows, target, notes)
