"""Every scored row, with what each model answers: the table behind a score."""

from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from crild.data.task import Task
from crild.run.targets import AGREEMENT, Target


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
