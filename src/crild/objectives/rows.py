"""Row-wise divergence of relations, shared by attention and relation objectives (`method.md` 2)."""

import torch
from torch import Tensor


def relation_logits(left: Tensor, right: Tensor) -> Tensor:
    """Return ``R = X Y^T / sqrt(d_h)`` (B, h, L, L) of ``left`` X and ``right`` Y (B, h, L, d_h)."""
    return left @ right.transpose(-1, -2) * left.shape[-1] ** -0.5


def row_divergence(student: Tensor, target: Tensor, mask: Tensor, window: int | None = None) -> Tensor:
    """Return ``KL(softmax(target) || softmax(student))``, summed over keys and real rows, mean over heads.

    Args:
        student, target: relation logits (B, h, L, L).
        mask: (B, L), 1 where a token is real; masked keys are excluded before the softmax, masked rows after it.
        window: where attention is local, rows see only keys with ``|i - j| < window``.
    """
    keys = mask[:, None, None, :].bool()
    if window is not None:
        positions = torch.arange(mask.shape[1], device=mask.device)
        keys = keys & ((positions[:, None] - positions[None, :]).abs() < window)
    lowest = torch.finfo(student.dtype).min
    log_student = student.masked_fill(~keys, lowest).log_softmax(-1)
    log_target = target.masked_fill(~keys, lowest).log_softmax(-1)
    rows = (log_target.exp() * (log_target - log_student)).sum(-1)
    return (rows.mean(1) * mask).sum()


def common_window(*windows: int | None) -> int | None:
    """Return the narrowest of the windows: keys outside either model's window are compared in neither."""
    return min((w for w in windows if w is not None), default=None)
