"""Q/K/V relations on relation heads (`method.md` 2 and 5)."""

import math
from typing import Any

from torch import Tensor

from crild.errors import CrildError
from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Objective, Term
from crild.objectives.rows import common_window, relation_logits, row_divergence

TENSOR_OF_TERM = {"relation_qq": "query", "relation_kk": "key", "relation_vv": "value"}


class Relations(Objective):
    """``D_rows`` of the self-relations ``R_QQ``, ``R_KK`` and ``R_VV`` on relation heads.

    All heads are concatenated and re-split into the same number of relation heads in both models, so widths and
    head counts may differ. The default is 48 heads where that divides both widths, else their largest common
    divisor up to 48.

    Source: Wang et al. 2021 (MiniLMv2), section 3.1, "multi-head self-attention relation distillation".
    """

    needs = ("query", "key", "value")
    terms = tuple(TENSOR_OF_TERM)

    def __init__(self, heads: int | None = None) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the terms ``relation_qq``, ``relation_kk`` and ``relation_vv``."""
        totals: dict[str, Any] = dict.fromkeys(self.terms, 0.0)
        for s, t in pairs:
            ours, theirs = student.layers[s], target.layers[t]
            window = common_window(ours.window, theirs.window)
            for term, name in TENSOR_OF_TERM.items():
                x, y = full_precision(getattr(ours, name)), full_precision(getattr(theirs, name))
                heads = self.heads or relation_heads(width(x), width(y))
                x, y = resplit(x, heads), resplit(y, heads)
                totals[term] += row_divergence(relation_logits(x, x), relation_logits(y, y), target.mask, window)
        counts = self.counts(target.mask)
        return {term: (total / len(pairs), counts[term]) for term, total in totals.items()}

    def check(self, student_config: Any, teacher_config: Any) -> None:
        """Refuse a number of relation heads that does not divide the widths."""
        for who, config in (("student", student_config), ("teacher", teacher_config)):
            if self.heads and config.hidden_size % self.heads:
                raise CrildError(
                    f"relation_heads {self.heads} does not divide the {who}'s width {config.hidden_size}; "
                    f"leave it out, or use a divisor such as {math.gcd(self.heads, config.hidden_size)}"
                )


def width(x: Tensor) -> int:
    """Return the width of all heads together, of x (B, h, L, d_h)."""
    return x.shape[1] * x.shape[-1]


def relation_heads(student_width: int, teacher_width: int, most: int = 48) -> int:
    """Return the largest common divisor of the two widths that is at most ``most``."""
    common = math.gcd(student_width, teacher_width)
    return max(k for k in range(1, most + 1) if common % k == 0)


def resplit(x: Tensor, heads: int) -> Tensor:
    """Re-split (B, h, L, d_h) into ``heads`` heads: concatenate the heads, then cut the width evenly."""
    return x.transpose(1, 2).flatten(2).unflatten(-1, (heads, -1)).transpose(1, 2)
