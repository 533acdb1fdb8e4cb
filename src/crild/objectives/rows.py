"""Relations between tokens, and their row-wise divergence (`method.md` 2)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Relation:
    """Relation logits (B, h, L, L) before the row softmax, and the window where attention is local."""

    logits: Tensor
    window: int | None = None


def relation_logits(left: Tensor, right: Tensor) -> Tensor:
    """Return ``R = X Y^T / sqrt(d_h)`` (B, h, L, L) of ``left`` X and ``right`` Y (B, h, L, d_h)."""
    return left @ right.transpose(-1, -2) * left.shape[-1] ** -0.5


def relation_heads(student_width: int, teacher_width: int, most: int = 48) -> int:
    """Return the largest common divisor of the two widths that is at most ``most``."""
    common = math.gcd(student_width, teacher_width)
    return max(k for k in range(1, most + 1) if common % k == 0)


def resplit(x: Tensor, heads: int) -> Tensor:
    """Re-split (B, h, L, d_h) into ``heads`` heads: concatenate the heads, then cut the width evenly."""
    return x.transpose(1, 2).flatten(2).unflatten(-1, (heads, -1)).transpose(1, 2)


def seen_keys(mask: Tensor, *windows: int | None) -> Tensor:
    """Return which keys a row may compare, (B, 1, 1, L) or (B, 1, L, L): real ones, inside both models' windows."""
    keys = mask[:, None, None, :].bool()
    narrowest = min((w for w in windows if w is not None), default=None)
    if narrowest is None:
        return keys
    positions = torch.arange(mask.shape[1], device=mask.device)
    return keys & ((positions[:, None] - positions[None, :]).abs() < narrowest)


def row_divergence(student: Relation, target: Relation, mask: Tensor) -> Tensor:
    """Return ``KL(softmax(target) || softmax(student))`` of each row, summed over keys, mean over heads: (B, L).

    Args:
        student, target: relations of the same number of heads.
        mask: (B, L), 1 where a token is real; masked keys are excluded before the softmax.
    """
    keys = seen_keys(mask, student.window, target.window)
    lowest = torch.finfo(student.logits.dtype).min
    log_student = student.logits.masked_fill(~keys, lowest).log_softmax(-1)
    log_target = target.logits.masked_fill(~keys, lowest).log_softmax(-1)
    return (log_target.exp() * (log_target - log_student)).sum(-1).mean(1)


def row_difference(student: Relation, target: Relation, mask: Tensor) -> Tensor:
    """Return the squared difference of each row, mean over its real keys and over heads: (B, L)."""
    keys = seen_keys(mask, student.window, target.window)
    squares = (student.logits - target.logits).square().masked_fill(~keys, 0.0)
    return (squares.sum(-1) / keys.sum(-1).clamp(min=1)).mean(1)
