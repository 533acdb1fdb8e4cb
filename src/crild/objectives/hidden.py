"""Hidden states and embeddings (`method.md` 2): squared difference, mean over width and real tokens."""

from torch import Tensor

from crild.features import Features, LayerFeatures, full_precision
from crild.layers import Pairs
from crild.objectives.base import Objective, PairObjective, Side, Term


class Hidden(PairObjective):
    """Hidden states: ``D_hidden(s, t)``, squared difference, mean over ``d``, real tokens and layer pairs.

    Where the widths differ (or with ``--width-map learned``), one learned linear map takes student states to the
    teacher's width (training only).

    Source: Jiao et al. 2020 (TinyBERT), section 3.1, "hidden states based distillation".
    """

    needs = ("hidden",)
    terms = ("hidden",)
    maps_width = True

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> Tensor:
        """Return hidden states (B, L, d), the student's in the teacher's width."""
        hidden = full_precision(features.hidden)
        return self.to_teachers_width(hidden) if side == "student" else hidden

    def compare(self, student: Tensor, target: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the squared difference of each token (B, L)."""
        return {"hidden": (student - target).square().mean(-1)}


class Embeddings(Objective):
    """Embeddings: the squared difference of what the models' first layers see, whatever the layer map.

    Mean over the embedding width and real tokens; a learned linear map of its own where the widths differ (or with
    ``--width-map learned``).

    Source: Jiao et al. 2020 (TinyBERT), section 3.1, "embedding-layer distillation".
    """

    needs = ("hidden",)
    extra = (0,)
    terms = ("embeddings",)
    maps = ("fixed", "random", "emd")
    maps_width = True
    layerless = True

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the term ``embeddings``."""
        return self._term(student, target, mapped=True)

    def consistency(self, student: Features, target: Features, layers: object) -> dict[str, Term]:
        """Return the same between two inputs of the student."""
        return self._term(student, target, mapped=False)

    def _term(self, student: Features, target: Features, mapped: bool) -> dict[str, Term]:
        ours, theirs = full_precision(student.layers[0].hidden), full_precision(target.layers[0].hidden)
        if mapped:
            ours = self.to_teachers_width(ours)
        total = ((ours - theirs).square().mean(-1) * target.mask).sum()
        return {"embeddings": (total, target.mask.sum())}

    def counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the number of real tokens."""
        return {"embeddings": mask.sum()}
