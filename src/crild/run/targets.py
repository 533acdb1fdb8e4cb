"""What a split is scored against: its labels, or (where it has none) the teacher's own answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from crild.data.task import Task
from crild.metrics import Measure, bootstrap_interval
from crild.tasks.base import TaskType

AGREEMENT = "agreement"


@dataclass(frozen=True)
class Target:
    """The truth of a split, and how answers are scored against it.

    Attributes:
        task_type: makes answers of logits.
        rows: numbers of the rows that are scored.
        truth: theirs.
        measure: of (truth, answers).
        metric: its name; `AGREEMENT` where the truth is the teacher's.
        positive: the class that F1 is about.
    """

    task_type: TaskType
    rows: np.ndarray
    truth: np.ndarray
    measure: Measure
    metric: str
    positive: int = 1

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Return what the logits of the whole split answer to the scored rows."""
        return self.task_type.answers(logits)[self.rows]

    def score(self, logits: np.ndarray) -> float:
        """Return the score of logits on the whole split."""
        return self.measure(self.truth, self.answers(logits))

    def report(self, logits: np.ndarray) -> dict[str, Any]:
        """Return score, 95 % bootstrap interval over rows, and every metric that applies."""
        return {
            "score": self.score(logits),
            "interval": list(bootstrap_interval(self.measure, self.truth, self.answers(logits))),
            "scores": self.task_type.all_scores(self.truth, logits[self.rows], self.positive),
        }

    def constant(self) -> float:
        """Return the score of whoever always gives the same answer."""
        return self.measure(self.truth, self.task_type.constant(self.truth))


def target_of(task: Task, rows: Dataset, teacher_logits: Callable[[], np.ndarray], metric: str | None) -> Target:
    """Return what a split is scored against.

    Args:
        task: its type, classes and metric.
        rows: the split, with ``labels``.
        teacher_logits: of the split; asked for where no row has a label.
        metric: what the user names, for agreement with the teacher.
    """
    labels = rows["labels"][:]
    known = np.array([i for i, label in enumerate(labels) if label is not None], dtype=int)
    classes = max(1, task.task_type.outputs(task.names))
    if len(known):
        measure = task.task_type.find_metric(task.metric, classes, task.positive)
        truth = np.array([labels[i] for i in known])
        return Target(task.task_type, known, truth, measure, task.metric, task.positive)
    measure = task.task_type.find_metric(metric or task.task_type.default_metric, classes)
    truth = task.task_type.answers(teacher_logits())
    return Target(task.task_type, np.arange(len(truth)), truth, measure, AGREEMENT)
