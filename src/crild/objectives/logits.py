"""Logit distillation and the task's own loss (`method.md` 3, stage 2)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from crild.objectives.base import Term


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Term:
    """Return ``T^2 * KL(softmax(teacher / T) || softmax(student / T))``; for one output, their squared difference.

    Args:
        student, teacher: logits (B, C), C > 1 for classes, C = 1 for regression.
        temperature: T; unused in regression.

    Returns:
        The sum over examples and their number.

    Source: Hinton et al. 2015, section 2.
    """
    count = torch.tensor(len(student), device=student.device)
    if student.shape[-1] == 1:
        return (student - teacher).square().sum(), count
    log_student = F.log_softmax(student / temperature, dim=-1)
    log_teacher = F.log_softmax(teacher / temperature, dim=-1)
    total = F.kl_div(log_student, log_teacher, reduction="sum", log_target=True)
    return total * temperature**2, count


def task_loss(logits: Tensor, labels: Tensor) -> Term:
    """Return cross-entropy (C > 1) or squared error (C = 1) over the labelled examples.

    Args:
        logits: (B, C).
        labels: (B,) numbers; NaN where an example has no label.
    """
    labelled = ~labels.isnan()
    target = labels.nan_to_num()
    if logits.shape[-1] == 1:
        losses = (logits.squeeze(-1) - target).square()
    else:
        losses = F.cross_entropy(logits, target.long(), reduction="none")
    return (losses * labelled).sum(), labelled.sum()
