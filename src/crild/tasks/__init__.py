"""Task types, one file each. Adding one means adding its file, and its entry here."""

from collections.abc import Sequence
from typing import Any

from crild.tasks.base import TaskType, Term
from crild.tasks.classification import Classification
from crild.tasks.labels import is_missing
from crild.tasks.regression import Regression

# In the order in which they are asked whether raw labels suit them; the last one takes all that is left.
TASK_TYPES: dict[str, TaskType] = {each.name: each for each in (Regression(), Classification())}

__all__ = ["TASK_TYPES", "TaskType", "Term", "task_type_of", "task_type_of_labels"]


def task_type_of(config: Any) -> TaskType:
    """Return the task type that a model's configuration describes; one output is a number, more are classes."""
    said = getattr(config, "problem_type", None)
    for task_type in TASK_TYPES.values():
        if said == task_type.problem_type and (config.num_labels == 1) == (task_type.outputs(("", "")) == 1):
            return task_type
    return TASK_TYPES["regression" if config.num_labels == 1 else "classification"]


def task_type_of_labels(raw: Sequence[Any]) -> TaskType:
    """Return the task type that a raw label column suggests."""
    present = [value for value in raw if not is_missing(value)]
    return next(task_type for task_type in TASK_TYPES.values() if task_type.suits(present))
