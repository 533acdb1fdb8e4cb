"""ALP-KD: each student layer from an attention-weighted mixture of all teacher layers (`method.md` 5)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Objective, Term


class AttentiveStates(Objective):
    """Attentive [CLS] states: ``MSE(c_i, sum_j a_ij t_j)`` with ``a_ij = softmax_j(c_i . t_j)``.

    ``c_i`` and ``t_j`` are the [CLS] states of student layer i and teacher layer j; the mean is over the width,
    examples and student layers. It has no zero at an identical student, because a mixture of layers is none of them.
    A learned map takes student states to the teacher's width first, where widths differ (or with ``--width-map
    learned``).

    Source: Passban et al. 2021 (ALP-KD), section 3, equations 5 to 7.
    """

    needs = ("hidden",)
    terms = ("attentive",)
    maps = ("all",)
    default_map = "all"
    maps_width = True

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the term ``attentive``."""
        ours = self.to_teachers_width(cls_states(student, sorted({s for s, _ in pairs})))
        theirs = cls_states(target, sorted({t for _, t in pairs}))
        weights = (ours @ theirs.transpose(1, 2)).softmax(-1)
        return self._term(ours, weights @ theirs)

    def consistency(self, student: Features, target: Features, layers: Iterable[int]) -> dict[str, Term]:
        """Return the squared difference of the student's own [CLS] states, layer by layer."""
        chosen = list(layers)
        return self._term(cls_states(student, chosen), cls_states(target, chosen))

    def _term(self, ours: Tensor, theirs: Tensor) -> dict[str, Term]:
        values = (ours - theirs).square().mean((-1, -2))
        return {"attentive": (values.sum(), torch.tensor(len(values), device=values.device))}


def cls_states(features: Features, layers: list[int]) -> Tensor:
    """Return the first token's states of ``layers``: (B, layers, d)."""
    return torch.stack([full_precision(features.layers[i].hidden)[:, 0] for i in layers], 1)
