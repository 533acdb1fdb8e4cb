"""Hidden states (`method.md` 2): squared difference, mean over width and real tokens."""

from typing import Any

from torch import Tensor, nn

from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Objective, Term


class Hidden(Objective):
    """``D_hidden(s, t)``: squared difference of hidden states, mean over ``d``, real tokens and layer pairs.

    Where the widths differ, a learned linear map takes student states to the teacher's width (training only).

    Source: Jiao et al. 2020 (TinyBERT), section 3.1, "hidden states based distillation".
    """

    needs = ("hidden",)
    terms = ("hidden",)

    def __init__(self, student_width: int, teacher_width: int) -> None:
        super().__init__()
        self.width_map = None if student_width == teacher_width else nn.Linear(student_width, teacher_width)

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the term ``hidden``."""
        total: Any = 0.0
        for s, t in pairs:
            ours, theirs = full_precision(student.layers[s].hidden), full_precision(target.layers[t].hidden)
            if self.width_map is not None and ours.shape[-1] != theirs.shape[-1]:
                ours = self.width_map(ours)
            total = total + hidden_divergence(ours, theirs, target.mask)
        return {"hidden": (total / len(pairs), self.counts(target.mask)["hidden"])}


def hidden_divergence(student: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the squared difference (B, L, d), mean over d, summed over the real tokens of ``mask`` (B, L)."""
    return ((student - target).square().mean(-1) * mask).sum()
