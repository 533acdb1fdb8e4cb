"""The contract of an objective over captured features."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from crild.errors import CrildError
from crild.features import Features, LayerFeatures
from crild.layers import LayerMap, Pairs
from crild.models.shape import Shape
from crild.tasks.base import Term as Term

STAGE_TERMS = ("filter_student", "filter_teacher", "mixed_task", "kd", "task")
"""Names of a stage's terms that belong to no objective (`crild.training.terms`), so no objective may have them."""

Side = Literal["student", "teacher", "own"]
"""Whose features an objective looks at; ``own``: both sides are the student's (the consistency term)."""


@dataclass(frozen=True)
class Between:
    """What an objective compares.

    Attributes:
        student, teacher: the two models' shapes.
        layer_map: between their layers.
        relation_heads: ``None`` for the default.
        width_map: learn a map of student states to the teacher's width also where widths are equal.
    """

    student: Shape
    teacher: Shape
    layer_map: LayerMap
    relation_heads: int | None = None
    width_map: bool = False


class Objective(nn.Module):
    """A distance between a student's features and a target's, over pairs of layers.

    Attributes:
        needs: what to capture, of ``hidden, query, key, value`` (of every mapped layer) and ``logits``.
        extra: layers to capture besides the mapped ones, in both models (0: what the first layer sees, -1: the last).
        terms: the names of the terms that it returns.
        weights: of terms that do not weigh 1.
        maps: the layer maps that make sense for it; ``fixed`` stands for all that give each student layer one
            teacher layer for good.
        default_map: its own, which goes before a method's that was made for another objective; ``last``: any will do.
        mixable: whether it makes sense on interpolated inputs.
        takes_heads: whether ``relation_heads`` means something to it.
        maps_width: whether it compares student states in the teacher's width: by `width_map`, a learned linear map,
            where widths differ or one is asked for; else by ``None``, as they are.
        needs_words: whether it looks at `Features.words`.
        needs_filters: whether a stage of its own has to train it on labels first (TED).
        layerless: whether a layer map means nothing to it.
        least_rows: rows of a micro-batch that it needs to say anything.

    A subclass returns ``{term: (sum, count)}`` from `forward`. Padding never changes a term, and a student that
    equals its target reads 0 unless the docstring says otherwise. State (learned maps, masses, filters) lives here:
    it is in checkpoints, and never in the student.
    """

    needs: tuple[str, ...] = ()
    extra: tuple[int, ...] = ()
    terms: tuple[str, ...] = ()
    weights: dict[str, float] = {}  # noqa: RUF012 (never changed in place)
    maps: tuple[str, ...] = ("fixed", "random")
    default_map = "last"
    mixable = True
    takes_heads = False
    maps_width = False
    needs_words = False
    needs_filters = False
    layerless = False
    least_rows = 1

    def __init__(self, between: Between) -> None:
        super().__init__()
        self.between = between
        ours, theirs = between.student.width, between.teacher.width
        learned = self.maps_width and (between.width_map or ours != theirs)
        self.width_map = nn.Linear(ours, theirs) if learned else None

    def to_teachers_width(self, states: Tensor) -> Tensor:
        """Return student states (..., d^s) as (..., d^t)."""
        return states if self.width_map is None else self.width_map(states)

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return each term over ``pairs`` of (student layer, teacher layer), under the target's mask."""
        raise NotImplementedError

    def consistency(self, student: Features, target: Features, layers: Iterable[int]) -> dict[str, Term]:
        """Return the same terms between the student's features and its own on another input (`method.md` 6.3)."""
        return self(student, target, tuple((layer, layer) for layer in layers))

    def counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return each term's count from the target's mask (B, L) alone: here, the number of examples.

        The trainer asks for it before the forward pass, to divide by the count of *all* micro-batches.
        """
        return {term: mask.any(1).sum() for term in self.terms}


class PairObjective(Objective):
    """An objective that compares one student layer with one teacher layer at a time: the mean over pairs.

    Attributes:
        per: what `compare` returns a value for: each real ``token`` (B, L) or each ``example`` (B,).
    """

    per: Literal["token", "example"] = "token"
    maps: tuple[str, ...] = ("fixed", "random", "emd")

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> Any:
        """Return what is compared of one layer; computed once, however many pairs it is in."""
        return features

    def compare(self, student: Any, target: Any, mask: Tensor) -> dict[str, Tensor]:
        """Return each term's values, (B, L) or (B,) according to `per`, of two views."""
        raise NotImplementedError

    def sums(self, student: Features, target: Features, pairs: Pairs, own: bool = False) -> dict[str, Tensor]:
        """Return each term's sum over real tokens (or examples), one number a pair: (P,)."""
        mask = target.mask
        side: Side = "own" if own else "student"
        ours = {s: self.view(student.layers[s], mask, s, side) for s in {s for s, _ in pairs}}
        with torch.set_grad_enabled(torch.is_grad_enabled() and not own):  # the clean side is a constant
            theirs = {t: self.view(target.layers[t], mask, t, "own" if own else "teacher") for _, t in pairs}
        found: dict[str, list[Tensor]] = {term: [] for term in self.terms}
        for s, t in pairs:
            for term, values in self.compare(ours[s], theirs[t], mask).items():
                found[term].append((values * (mask if self.per == "token" else mask.any(1))).sum())
        return {term: torch.stack(each) for term, each in found.items()}

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return each term, a mean over tokens (or examples) and layer pairs."""
        counts = self.counts(target.mask)
        return {k: (each.mean(), counts[k]) for k, each in self.sums(student, target, pairs).items()}

    def consistency(self, student: Features, target: Features, layers: Iterable[int]) -> dict[str, Term]:
        """Return the same terms between the student's features and its own on another input."""
        counts, pairs = self.counts(target.mask), tuple((layer, layer) for layer in layers)
        return {k: (each.mean(), counts[k]) for k, each in self.sums(student, target, pairs, own=True).items()}

    def counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the number of real tokens (or of examples)."""
        if self.per == "example":
            return super().counts(mask)
        return {term: mask.sum() for term in self.terms}


def require_equal_heads(matched: str, ours: int, theirs: int, heads: str = "heads") -> None:
    """Raise `CrildError` where something that is matched head by head has another number of them in either model."""
    require(
        ours == theirs,
        f"{matched} cannot be matched: the student has {ours} {heads} and the teacher {theirs}; "
        "use `--features qkv`, which re-splits the heads",
    )


def require(fits: bool, message: str) -> None:
    """Raise `CrildError` with ``message`` unless the models fit."""
    if not fits:
        raise CrildError(message)


def weighted_mean(terms: dict[str, Term], weights: dict[str, float]) -> Tensor:
    """Return ``sum_k weights[k] * sum_k / count_k``; a term with count 0 contributes 0."""
    return sum(  # type: ignore[return-value]
        weights[name] * total / count.clamp(min=1) for name, (total, count) in terms.items()
    )
