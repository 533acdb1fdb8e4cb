"""CKD: relations among the words of a text, and among the layers of a word (`method.md` 5)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Between, Objective, Term
from crild.objectives.geometry import Geometry, masked_mean, pairs_of_tokens

REACH = 10  # tokens to either side of a triple's vertex: the authors' window of 21


class ContextualRelations(Objective):
    """Contextual relations: distances and angles among the words of a text, and among the layers of a word.

    *Words*, in each mapped layer: the distances of all pairs of real tokens, divided by their mean over the text;
    and the cosines of the angles at each token between two others at most 10 positions away. *Layers*, for each
    token: the distances between the mapped layers, divided by their mean over the text's tokens and pairs of
    layers; and the cosines of the angles at one layer between two others. The loss is the squared difference of
    student and teacher, mean over the relations of a text, then over texts (and layers). One mapped layer has no
    relations among layers, two have distances and no angles: then these terms are absent.

    Relations do not depend on the width, so no map is learned.

    Source: Park et al. 2021 (CKD), sections 3.1 (word relation) and 3.2 (layer transforming relation); distances as
    `method.md` defines them (the authors' script matches cosines of pairs instead).
    """

    needs = ("hidden",)
    terms: tuple[str, ...] = ("word_distances", "word_angles", "layer_distances", "layer_angles")
    default_map = "uniform"

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        self.terms = self.terms[: 1 + len(between.layer_map.pairs)]

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the terms ``word_distances``, ``word_angles``, ``layer_distances`` and ``layer_angles``."""
        mask = target.mask
        ours = [full_precision(student.layers[s].hidden) for s, _ in pairs]
        theirs = [full_precision(target.layers[t].hidden) for _, t in pairs]
        found: dict[str, list[Tensor]] = {}
        for one, other in zip(ours, theirs, strict=True):
            ours_words, theirs_words = word_relations(one, mask), word_relations(other, mask)
            for term, a, b in zip(self.terms, ours_words, theirs_words, strict=False):
                found.setdefault(term, []).append(masked_mean((a[0] - b[0]).square(), a[1]))
        ours_layers, theirs_layers = layer_relations(ours, mask), layer_relations(theirs, mask)
        for term, a, b in zip(self.terms[2:], ours_layers, theirs_layers, strict=False):
            found[term] = [masked_mean((a[0] - b[0]).square(), a[1])]
        counts = self.counts(mask)
        return {term: (torch.stack(each).mean(0).sum(), counts[term]) for term, each in found.items()}


Related = tuple[Tensor, Tensor]
"""Relations, and which of them there are."""


def word_relations(x: Tensor, mask: Tensor) -> tuple[Related, Related]:
    """Return the relative distances (B, L, L) and the angles' cosines (B, L, W, W) of tokens x (B, L, d)."""
    geometry, pairs = Geometry.of(x, mask), pairs_of_tokens(mask)
    mean = masked_mean(geometry.distances, pairs)
    distances = geometry.distances / mean.clamp(min=1e-9)[:, None, None]

    length = x.shape[1]
    here = torch.arange(length, device=x.device)
    steps = torch.tensor([step for step in range(-REACH, REACH + 1) if step], device=x.device)
    near = here[:, None] + steps
    inside = (near >= 0) & (near < length)
    near = near.clamp(0, length - 1).expand(len(x), -1, -1)
    cosines = geometry.cosines(here.expand(len(x), -1), near)
    seen = mask.bool()[torch.arange(len(x), device=x.device)[:, None, None], near] & inside
    triples = mask.bool()[:, :, None, None] & pairs_of_tokens(seen.flatten(0, 1)).unflatten(0, (len(x), -1))
    return (distances, pairs), (cosines, triples)


def layer_relations(layers: Sequence[Tensor], mask: Tensor) -> tuple[Related, Related]:
    """Return the relative distances (B, L, K, K) and the angles' cosines (B, L, K, K, K) among K layers (B, L, d)."""
    x = torch.stack(list(layers), 2)
    rows, length, depth = x.shape[:3]
    geometry = Geometry.of(x.flatten(0, 1))
    every = torch.ones(rows * length, depth, device=x.device)
    different = pairs_of_tokens(every)
    real = mask.bool()[:, :, None, None]
    pairs = different.unflatten(0, (rows, length)) & real
    distances = geometry.distances.unflatten(0, (rows, length))
    mean = masked_mean(distances, pairs)

    index = torch.arange(depth, device=x.device).expand(rows * length, -1)
    cosines = geometry.cosines(index, index[:, None, :].expand(-1, depth, -1)).unflatten(0, (rows, length))
    at = different[0]
    distinct = at[:, :, None] & at[:, None, :] & at[None, :, :]  # (vertex, one, other)
    triples = real[..., None] & distinct
    return (distances / mean.clamp(min=1e-9)[:, None, None, None], pairs), (cosines, triples.expand_as(cosines))
