"""What the head reads (`method.md` 2): the one vector of the last hidden states that decides the answer."""

from collections.abc import Iterable

from torch import Tensor

from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Between, Objective, Shape, Term, require
from crild.objectives.geometry import mean_pool


class HeadInput(Objective):
    """Head input: the squared difference of the vectors that the heads read, mean over the width and examples.

    Of the models' last hidden states, whatever the layer map: the first token's (a pooler belongs to the head), or
    the mean over real tokens, each as the model's own head has it. A learned map takes the student's vector to the
    teacher's width where widths differ (or with ``--width-map learned``). A head that reads every token by itself
    (EuroBERT's ``classifier_pooling: late``) has no such vector and is refused.

    Source: this project, from what is left of it after ten epochs of matching hidden states (`method.md` 2).
    """

    needs = ("hidden",)
    extra = (-1,)
    terms = ("head_input",)
    maps = ("fixed", "random", "emd", "all")
    maps_width = True
    layerless = True

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        for name, shape in (("student", between.student), ("teacher", between.teacher)):
            require(
                shape.pooling != "late",
                f"head-input is one vector a text, and the {name}'s head reads every token (classifier_pooling: late): "
                "use `--features h`, which matches them all",
            )

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the term ``head_input``."""
        ours = self.to_teachers_width(head_input(student, target.mask, self.between.student))
        return self._term(ours, head_input(target, target.mask, self.between.teacher), target.mask)

    def consistency(self, student: Features, target: Features, layers: Iterable[int]) -> dict[str, Term]:
        """Return the same between two inputs of the student."""
        ours, theirs = (head_input(features, target.mask, self.between.student) for features in (student, target))
        return self._term(ours, theirs, target.mask)

    def _term(self, ours: Tensor, theirs: Tensor, mask: Tensor) -> dict[str, Term]:
        return {"head_input": ((ours - theirs).square().mean(-1).sum(), self.counts(mask)["head_input"])}


def head_input(features: Features, mask: Tensor, shape: Shape) -> Tensor:
    """Return what the head of a model of ``shape`` reads (B, d), if the tokens of ``mask`` (B, L) are the real ones."""
    hidden = full_precision(features.layers[shape.layers].hidden)
    return mean_pool(hidden, mask) if shape.pooling == "mean" else hidden[:, 0]
