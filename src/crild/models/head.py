"""The classification head of a model: copied, drawn anew, its labels named."""

import re
from typing import Any

import torch
from transformers import PreTrainedModel


def head_names(model: PreTrainedModel) -> list[str]:
    """Return the names of the tensors of a model's head (and pooler)."""
    encoder = re.compile(rf"{re.escape(model.base_model_prefix)}\.(?!pooler)")
    return [name for name in model.state_dict() if not encoder.match(name)]


def same_head(student: PreTrainedModel, teacher: PreTrainedModel) -> bool:
    """Return whether the student's head can be the teacher's: of one architecture, and every shape agrees."""
    ours, theirs = student.state_dict(), teacher.state_dict()
    return type(student) is type(teacher) and all(
        name in theirs and ours[name].shape == theirs[name].shape for name in head_names(student)
    )


def copy_head(student: PreTrainedModel, teacher: PreTrainedModel) -> None:
    """Copy the teacher's head (and pooler) into the student; they are to fit, see `same_head`."""
    theirs = teacher.state_dict()
    student.load_state_dict({**student.state_dict(), **{name: theirs[name] for name in head_names(student)}})


def renew_head(model: PreTrainedModel, seed: int) -> None:
    """Draw the head (and pooler) anew."""
    torch.manual_seed(seed)
    copy_head(model, type(model)(model.config))


def name_labels(model: PreTrainedModel, head: dict[str, Any]) -> None:
    """Write what a head's outputs mean into a model's configuration, see `TaskType.head`."""
    for key, value in head.items():
        setattr(model.config, key, value)
