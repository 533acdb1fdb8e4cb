"""RAIL-KD: random intermediate layers, pooled and projected (`method.md` 5)."""

from torch import Tensor, nn
from torch.nn import functional as F

from crild.features import LayerFeatures, full_precision
from crild.objectives.base import Between, PairObjective, Side
from crild.objectives.geometry import mean_pool

WIDTH = 128  # u


class PooledStates(PairObjective):
    """Pooled states: the squared distance of mean-pooled, projected and L2-normalised hidden states.

    One learned map for the student and one for the teacher take pooled states to width u = 128; the mean is over
    examples and layer pairs. Because the two maps are learned apart, an identical student does not read 0.

    Source: Haidar et al. 2022 (RAIL-KD), section 3.1, layer-wise variant; u as there.
    """

    per = "example"
    needs = ("hidden",)
    terms = ("pooled",)
    default_map = "random"

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        self.student_map = nn.Linear(between.student.width, WIDTH)
        self.teacher_map = nn.Linear(between.teacher.width, WIDTH)

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> Tensor:
        """Return projected and normalised states (B, u)."""
        pooled = mean_pool(full_precision(features.hidden), mask)
        return F.normalize((self.teacher_map if side == "teacher" else self.student_map)(pooled), dim=-1)

    def compare(self, student: Tensor, target: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the squared distance of each example (B,)."""
        return {"pooled": (student - target).square().sum(-1)}
