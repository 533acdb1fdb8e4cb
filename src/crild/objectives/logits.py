"""Logit distillation and the task's own loss (`method.md` 3, stage 2)."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Objective, Term


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


def mixed_task_loss(logits: Tensor, labels: Tensor, lam: float, partners: Tensor) -> Term:
    """Return the task's loss of interpolated inputs: ``lam`` against a row's own label, the rest against its partner's.

    That is the cross-entropy against interpolated labels; in regression it differs from the squared error against
    the interpolated number by a constant.

    Args:
        logits: (B, C), of ``lam * row_i + (1 - lam) * row_partners[i]``.
        labels: (B,); NaN where an example has none: the row then learns from the other share alone.
        lam, partners: the interpolation.

    Source: Liang et al. 2021 (MixKD), section 3.1, the data-augmented task loss.
    """
    own, count = task_loss(logits, labels)
    other, _ = task_loss(logits, labels[partners])
    return lam * own + (1 - lam) * other, count


class Logits(Objective):
    """Logits: the squared difference of the two models' logits, mean over classes and examples.

    With interpolation, it is what MixKD distils. It has no layers, so a layer map means nothing to it.

    Source: Liang et al. 2021 (MixKD), section 3.2.
    """

    needs = ("logits",)
    terms = ("logits",)
    maps = ("fixed", "random", "emd", "all")
    layerless = True

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the term ``logits``."""
        difference = full_precision(student.logits) - full_precision(target.logits)
        return {"logits": (difference.square().mean(-1).sum(), self.counts(target.mask)["logits"])}

    def consistency(self, student: Features, target: Features, layers: Iterable[int]) -> dict[str, Term]:
        """Return the same between two inputs of the student."""
        return self(student, target, ())
