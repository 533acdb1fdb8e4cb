"""PKD: the first token's states, normalised (`method.md` 5)."""

from torch import Tensor
from torch.nn import functional as F

from crild.features import LayerFeatures, full_precision
from crild.objectives.base import PairObjective, Side


class PatientStates(PairObjective):
    """Patient [CLS] states: the squared difference of L2-normalised [CLS] states, mean over ``d``, examples and pairs.

    A learned map takes student states to the teacher's width first, where widths differ (or with ``--width-map
    learned``).

    Source: Sun et al. 2019 (PKD), section 3.2, equation 7.
    """

    per = "example"
    needs = ("hidden",)
    terms = ("patient",)
    default_map = "skip"
    maps_width = True

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> Tensor:
        """Return normalised [CLS] states (B, d)."""
        cls = full_precision(features.hidden)[:, 0]
        return F.normalize(self.to_teachers_width(cls) if side == "student" else cls, dim=-1)

    def compare(self, student: Tensor, target: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the squared difference of each example (B,)."""
        return {"patient": (student - target).square().mean(-1)}
