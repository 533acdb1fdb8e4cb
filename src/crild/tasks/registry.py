"""From names to task types, and from models and labels to the task type that fits."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from crild.tasks import TASK_NAMES
from crild.tasks.base import TaskType
from crild.tasks.labels import is_missing

TASK_TYPES: dict[str, TaskType] = {
    name: import_module(f"crild.tasks.{name.replace('-', '_')}").TASK_TYPE for name in TASK_NAMES
}


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
