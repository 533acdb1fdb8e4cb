"""A finished run as the diagnostics see it: its models, rows of its splits, what it matched."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel

from crild.config import TrainConfig
from crild.data.batching import Collator, batches_by_length
from crild.data.rows import with_column
from crild.data.task import Task
from crild.data.tokenise import tokenise
from crild.diagnostics.passes import Losses, layer_vectors, logits_of
from crild.diagnostics.rows import Batch
from crild.errors import CrildError
from crild.inference import predict
from crild.metrics import Measure
from crild.models.architecture import longest
from crild.models.shape import Shape
from crild.objectives import Composition, compose, load_plugin
from crild.run.folder import RunFolder
from crild.run.inputs import read_task
from crild.run.models import device
from crild.run.origin import Origin
from crild.run.reread import config_of, found_again
from crild.run.targets import AGREEMENT
from crild.tasks.base import TaskType

ROLES = ("teacher", "control", "student")
BATCH = 32
TRAIN, HELD_OUT = SPLITS = ("train", "held_out")
FIT = {TRAIN: 8, HELD_OUT: 2}  # so many times as many rows where something is fitted on them


@dataclass(frozen=True)
class Rows:
    """Tokenised rows of a run, drawn at random from each split, in random order; all of them have a label.

    Attributes:
        splits: `TRAIN` (labels as they were trained on) and `HELD_OUT`, the validation split that is the
            run's score's.
        corrupted: of the training rows those whose label was replaced on purpose, with the wrong label.
        right: the same rows with the labels that they had.
        collate: makes a batch.
    """

    splits: Mapping[str, Dataset]
    corrupted: Dataset | None
    right: Dataset | None
    collate: Collator

    def take(self, split: str, count: int) -> list[Batch]:
        """Return the first rows of a split as batches."""
        rows = self.splits[split]
        return self.batches(rows.select(range(min(count, len(rows)))))

    def batches(self, rows: Dataset) -> list[Batch]:
        """Return rows as batches, short ones first."""
        return [batch for _, batch in batches_by_length(rows, self.collate, BATCH)]


@dataclass(frozen=True)
class Case:
    """A finished run.

    Attributes:
        name: how tables call it.
        run: its folder.
        models: those that are there, of `ROLES`, in evaluation mode.
        rows: of its data; ``None`` where that cannot be read again.
        count: rows of a split that diagnostics pass over many times; `FIT` says how many where something is fitted.
        seed: of every draw.
        task_type: of the models.
        metric: of scores: its name.
        measure: of scores.
        objective: what the run matched between teacher and student; where it matched nothing, their last hidden
            states; ``None`` where the two cannot be compared.
        matching: what that is, in words.
        notes: what is missing.
        pace: seconds that each model takes for a row.
    """

    name: str
    run: RunFolder
    models: Mapping[str, PreTrainedModel]
    rows: Rows | None
    count: int
    seed: int
    task_type: TaskType | None
    metric: str
    measure: Measure | None
    objective: Composition | None = None
    matching: str = ""
    notes: tuple[str, ...] = ()
    pace: dict[str, float] = field(default_factory=dict)
    _vectors: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def layered(self) -> dict[str, PreTrainedModel]:
        """The models with layers: a static student has none."""
        return {role: model for role, model in self.models.items() if model.config.num_hidden_layers}

    @property
    def learners(self) -> dict[str, PreTrainedModel]:
        """The models with layers beside the teacher."""
        return {role: model for role, model in self.layered.items() if role != "teacher"}

    def sample(self, split: str, fit: bool = False, most: int | None = None) -> list[Batch]:
        """Return rows of a split, at most so many; ``fit``: enough to fit something on."""
        assert self.rows is not None
        rows = self.count * (FIT[split] if fit else 1)
        return self.rows.take(split, min(rows, most or rows))

    def losses(self, role: str, rows: list[Batch]) -> Losses:
        """Return a model's losses over rows: the task's, and the student's to the teacher."""
        if role == "student" and self.objective is not None:
            return Losses(rows, self.models["teacher"], self.objective)
        return Losses(rows)

    def vectors(self, role: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return `layer_vectors` of training and held-out rows, by layer."""
        if role not in self._vectors:
            both = [layer_vectors(self.models[role], self.sample(split, fit=True)) for split in SPLITS]
            self._vectors[role] = list(zip(*both, strict=True))
        found: list[tuple[np.ndarray, np.ndarray]] = self._vectors[role]
        return found

    def seconds(self, passes: Mapping[str, float]) -> float:
        """Return about how long so many rows take, by model."""
        return sum(self.pace[role] * rows for role, rows in passes.items())

    def vector_seconds(self) -> float:
        """Return about how long `vectors` of all models take that are not there yet."""
        rows = self.count * sum(FIT.values())
        return self.seconds({role: rows for role in self.layered if role not in self._vectors})


@dataclass(frozen=True)
class Diagnostic:
    """One thing to find out about a run.

    Attributes:
        name: of its file.
        title: what it is.
        run: finds the figures: ``axes`` (label and unit of everything that is measured), ``models``, and more.
        seconds: about how long that takes.
        summary: what the table has of the figures, by model.
        lacks: what the run has not that it needs; an empty text if all is there.
        needs_rows: whether it looks at rows of the data.
    """

    name: str
    title: str
    run: Callable[[Case], dict[str, Any]]
    seconds: Callable[[Case], float]
    summary: Callable[[dict[str, Any]], dict[str, dict[str, float]]] = lambda figures: {}
    lacks: Callable[[Case], str] = lambda case: ""
    needs_rows: bool = True


def needs_teacher(case: Case) -> str:
    """Return what the run lacks to compare layers with the teacher's, or an empty text."""
    if "teacher" not in case.layered or not case.learners:
        return "there are no layers of a teacher and a student to compare"
    return ""


def open_case(name: str, path: str, count: int, seed: int, plugin: str | None = None) -> Case:
    """Open a finished run.

    Args:
        name: how tables call it.
        path: its folder.
        count, seed: see `Case`.
        plugin: the file that may be run where the run was made with one.

    Raises:
        CrildError: there is none, or none of its models is left.
    """
    run = RunFolder.open(path)
    config = config_of(run)
    models, notes = load_models(run)
    objective, matching = None, ""
    if {"teacher", "student"} <= set(models):
        try:
            objective, matching = matched(run, config, plugin)
        except CrildError as error:
            notes.append(f"what it matched cannot be looked at: {error}")
    rows = task = None
    try:
        task, rows = read_rows(run, config, models, count, seed, objective is not None and objective.needs_words)
    except CrildError as error:
        notes.append(f"its data cannot be read again, so only its log is: {error}")
    metric = run.result.metric
    measure = None
    if task is not None:
        named = (getattr(config, "metric", None) or task.task_type.default_metric) if metric == AGREEMENT else metric
        measure = task.task_type.find_metric(named, max(1, task.task_type.outputs(task.names)), task.positive)
    case = Case(name, run, models, rows, count, seed, task.task_type if task else None, metric, measure,
                objective, matching, tuple(notes))  # fmt: skip
    return replace(case, pace=pace(case))


def load_models(run: RunFolder) -> tuple[dict[str, PreTrainedModel], list[str]]:
    """Return the models of a run that are left, and what is missing."""
    models: dict[str, PreTrainedModel] = {}
    notes = []
    for role in ROLES:
        if run.result.models.get(role) is None:
            continue
        try:
            model = getattr(run, role)
        except CrildError as error:
            notes.append(str(error))
            continue
        if model is not None:
            models[role] = model.to(device())
    if not models:
        raise CrildError(f"{run.path}: none of its models is left to be looked at ({notes[0]})")
    return models, notes


def matched(run: RunFolder, config: TrainConfig, plugin: str | None) -> tuple[Composition | None, str]:
    """Return what a run matched between teacher and student, and that in words.

    Raises:
        CrildError: it was made with a plugin, and ``plugin`` does not say that it may be run.
    """
    ours, theirs = run.student.config, run.teacher.config
    if run.plan.matching is not None:
        if made_with := getattr(config, "plugin", None):
            if plugin is None:  # a run's folder may come from anyone
                raise CrildError(f"it was made with the plugin {made_with}, which --plugin {made_with} would run again")
            load_plugin(plugin)
        assert run.objective is not None
        layers = f", layer map {run.plan.matching.layer_map}" if run.plan.matching.layer_map else ""
        return run.objective.to(device()), f"{run.plan.matching.features}{layers}, as in the run, on plain inputs"
    if not ours.num_hidden_layers or ours.hidden_size != theirs.hidden_size:
        return None, ""
    objective = compose("hidden", "last", Shape.of(ours), Shape.of(theirs)).eval()
    return objective.to(device()), "hidden states of the last layer, which the run itself did not match"


def read_rows(
    run: RunFolder, config: TrainConfig, models: Mapping[str, PreTrainedModel], count: int, seed: int, words: bool
) -> tuple[Task, Rows]:
    """Read the data again, as the run did: the same splits, the same wrong labels.

    Args:
        run: finished.
        config: its options.
        models: of the run.
        count: see `Case`.
        seed: of the draw.
        words: an objective looks at the words of a text.

    Raises:
        CrildError: it is not there, or holds something else than it did.
    """
    config = found_again(run, config)
    teacher = models.get("teacher")
    given = next(iter(models.values())) if not run.result["teacher"].get("fine_tuned_here", False) else None
    origin = Origin(str(run.path), "teacher", given, run.tokenizer, min(longest(model) for model in models.values()))
    task, _ = read_task(config, origin)

    def tokenised(rows: Dataset) -> Dataset:
        return tokenise(rows, run.tokenizer, run.result.max_length, words)

    splits = {TRAIN: task.train, HELD_OUT: next(iter(task.validation.values()))}
    for place, (split, rows) in enumerate(splits.items()):
        drawn = tokenised(draw(rows, count * FIT[split], seed, place))
        if all(label is None for label in drawn["labels"][:]):
            if teacher is None:
                raise CrildError(f"{config.data} has no labels, and without the teacher nobody answers its rows")
            answers = task.task_type.answers(predict(teacher, drawn, run.tokenizer)).astype(float)
            drawn = with_column(drawn, "labels", answers.tolist())
        splits[split] = drawn
    corrupted = right = None
    if config.label_noise:
        clean, _ = read_task(replace(config, label_noise=0.0), origin)
        pairs = zip(task.train["labels"][:], clean.train["labels"][:], strict=True)
        changed = [row for row, (ours, theirs) in enumerate(pairs) if ours != theirs]
        chosen = np.random.default_rng((seed, len(splits))).permutation(changed)[: count * FIT[HELD_OUT]].tolist()
        corrupted, right = (tokenised(each.train.select(chosen)) for each in (task, clean))
    return task, Rows(splits, corrupted, right, Collator(run.tokenizer))


def draw(rows: Dataset, count: int, *seed: int) -> Dataset:
    """Return at most so many rows with a label (of all, if none has any), in random order."""
    known = [row for row, label in enumerate(rows["labels"][:]) if label is not None]
    chosen = np.random.default_rng(seed).permutation(known or len(rows))[:count]
    return rows.select(chosen.tolist())


def pace(case: Case) -> dict[str, float]:
    """Return how many seconds each model takes for a row."""
    if case.rows is None:
        return dict.fromkeys(case.models, 0.0)
    out, rows = {}, case.sample(HELD_OUT, most=4 * BATCH)
    for role, model in case.models.items():
        logits_of(model, rows[:1])  # warms up
        start = time.perf_counter()
        logits_of(model, rows)
        out[role] = (time.perf_counter() - start) / sum(len(batch["labels"]) for batch in rows)
    return out
