"""PKD: the first token's states, normalised (`method.md` 5)."""

from torch import Tensor
from torch.nn import functional as F

from crild.features import LayerFeatures, full_precision
from crild.objectives.base import Between, PairObjective, Side, width_map


class PatientStates(PairObjective):
    """Patient [CLS] states: the squared difference of L2-normalised [CLS] states, mean over ``d``, examples and pairs.

    A learned map takes student states to the teacher's width first, where widths differ.

    Source: Sun et al. 2019 (PKD), section 3.2, equation 7.
    """

    per = "example"
    needs = ("hidden",)
    terms = ("patient",)
    default_map = "skip"

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        self.width_map = width_map(between)

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> Tensor:
        """Return normalised [CLS] states (B, d)."""
        cls = full_precision(features.hidden)[:, 0]
        if self.width_map is not None and side == "student":
            cls = self.width_map(cls)
        return F.normalize(cls, dim=-1)

    def compare(self, student: Tensor, target: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the squared difference of each example (B,)."""
        return {"patient": (student - target).square().mean(-1)}
