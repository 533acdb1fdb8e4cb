"""The classification head of a model: copied, drawn anew, its labels named."""

import re
from typing import Any

import torch
from transformers import PreTrainedModel


def copy_head(student: PreTrainedModel, teacher: PreTrainedModel) -> bool:
    """Copy the teacher's head (and pooler) into the student where every shape agrees; return whether it was done."""
    ours, theirs = student.state_dict(), teacher.state_dict()
    encoder = re.compile(rf"{re.escape(student.base_model_prefix)}\.(?!pooler)")
    head = [name for name in ours if not encoder.match(name)]
    if type(student) is not type(teacher) or any(
        name not in theirs or ours[name].shape != theirs[name].shape for name in head
    ):
        return False
    student.load_state_dict({**ours, **{name: theirs[name] for name in head}})
    return True


def renew_head(model: PreTrainedModel, seed: int) -> None:
    """Draw the head (and pooler) anew."""
    torch.manual_seed(seed)
    copy_head(model, type(model)(model.config))


def name_labels(model: PreTrainedModel, head: dict[str, Any]) -> None:
    """Write what a head's outputs mean into a model's configuration, see `TaskType.head`."""
    for key, value in head.items():
        setattr(model.config, key, value)
