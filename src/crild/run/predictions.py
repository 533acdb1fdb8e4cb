"""Every scored row, with what each model answers: the table behind a score, written and read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from crild.data.task import Task
from crild.metrics import Measure
from crild.run.folder import RunFolder
from crild.run.targets import AGREEMENT, Target
from crild.tasks.base import TaskType
from crild.tasks.registry import TASK_TYPES


def predictions_frame(
    task: Task, split: str, rows: Dataset, target: Target, logits: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Return ``text``, perhaps ``text_pair``, ``label``, ``split``, and of each model its answer and probabilities.

    Answers are names where classes have any, else numbers. ``*_probabilities`` holds one number a class, in the order
    of the result's labels; a regression has none. The label is missing where a split has none.

    Args:
        task: its type and class names.
        split: its name.
        rows: the split as text.
        target: which of its rows are scored.
        logits: of the whole split, by model.
    """
    chosen = rows.select(target.rows.tolist())
    columns: dict[str, Any] = {name: chosen[name][:] for name in ("text", "text_pair") if name in rows.column_names}
    labels: Any = [None] * len(chosen) if target.metric == AGREEMENT else target.truth
    columns |= {"label": task.task_type.spelled(labels, task.names), "split": [split] * len(chosen)}
    for name, values in logits.items():
        columns[name] = task.task_type.spelled(target.answers(values), task.names)
        probabilities = task.task_type.probabilities(values[target.rows])
        if probabilities is not None:
            columns[f"{name}_probabilities"] = list(probabilities)
    return pd.DataFrame(columns)


def confidences(task_type: TaskType, logits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how sure each answer is, and whether it is right; where a row answers for each class, each counts."""
    correct = (task_type.answers(logits) == truth).reshape(-1)
    confidence = task_type.confidence(logits.reshape(-1, 1) if truth.ndim == 2 else logits)
    assert confidence is not None
    return confidence, correct


@dataclass(frozen=True)
class RunRows:
    """The rows of a finished run, and what answers to them are scored against.

    Attributes:
        task_type: of the run.
        names: of its classes.
        metric: of its scores; `AGREEMENT` with the teacher where rows have no labels.
        measure: of (truth, answers).
        selection: the rows that choices are made on, see `RunFolder.predictions`.
        held_out: those of the first validation split.
    """

    task_type: TaskType
    names: list[str]
    metric: str
    measure: Measure
    selection: pd.DataFrame
    held_out: pd.DataFrame

    def truth(self, frame: pd.DataFrame) -> np.ndarray:
        """Return what the rows of a frame are scored against: (n,) or (n, C)."""
        return self.task_type.coded(frame["teacher" if self.metric == AGREEMENT else "label"], self.names)

    def answers(self, frame: pd.DataFrame, model: str) -> np.ndarray:
        """Return what a model answered to the rows of a frame: (n,) or (n, C)."""
        return self.task_type.coded(frame[model], self.names)

    def probabilities(self, frame: pd.DataFrame, model: str) -> np.ndarray | None:
        """Return a model's probabilities of the rows of a frame (n, C); ``None`` where an answer is a number."""
        column = f"{model}_probabilities"
        return np.stack(list(frame[column])) if column in frame else None

    @classmethod
    def of(cls, run: RunFolder) -> "RunRows":
        """Read them from a run's folder."""
        result, task_type, scored = run.result, TASK_TYPES[run.result.kind], run.predictions
        frames = (run.selection_predictions, scored[scored["split"] == scored["split"].iloc[0]])
        if any(frame["label"].isna().any() for frame in frames):
            measure = task_type.find_metric(run.options["metric"] or task_type.default_metric, len(result.labels))
            return cls(task_type, result.labels, AGREEMENT, measure, *frames)
        known = result.models["teacher"]
        assert known is not None
        for positive in (1, 0):  # a run does not say which of two classes F1 is about; its teacher's score does
            measure = task_type.find_metric(result.metric, len(result.labels), positive)
            rows = cls(task_type, result.labels, result.metric, measure, *frames)
            if np.isclose(measure(rows.truth(rows.held_out), rows.answers(rows.held_out, "teacher")), known.score):
                break
        return rows
