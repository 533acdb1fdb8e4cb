"""Logits as features (`method.md` 5); what stage 2 does with them is a task type's affair (`crild.tasks`)."""

from collections.abc import Iterable

from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Objective, Term


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
