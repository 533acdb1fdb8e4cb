"""MGSKD: structure at three granularities, of tokens, words and samples (`method.md` 5)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.objectives.base import Between, Objective, Term
from crild.objectives.geometry import Geometry, masked_mean, mean_pool
from crild.objectives.rows import relation_heads

LOWER = 2  # mapped layers that match tokens and spans; the upper ones match samples
HEADS = 64
MOST = 20  # vertices of triples, and neighbours of each


class GranularStructure(Objective):
    """Structure at three granularities: tokens and spans (whole words) in lower layers, samples in upper ones.

    On up to 64 relation heads (their largest common divisor for two widths). The lower two mapped layers (fewer
    where there would be no upper one) match tokens, and the words' mean-pooled tokens: dots scaled by
    ``1 / sqrt(d / heads)``, mean squared difference over heads and pairs (a token with itself among
    them); and the angles at the 20 tokens that
    receive most of the teacher's attention (softmax of these dots), between any two of the 20 others that such a
    token attends to most: cosines at full width, smooth L1. Upper layers match the angles among all triples of
    mean-pooled samples of the batch, head by head, smooth L1. Means are over a text, then over texts (samples:
    over triples), then over layers. Weights: samples 4, tokens 1, spans 1.

    Samples are related within a process's (micro-)batch, so their term depends on which texts share one. Spans are
    words of one text: not on interpolated inputs.

    Source: Liu et al. 2022 (MGSKD), section 3; selection of tokens as in the authors' script.
    """

    needs = ("hidden",)
    terms: tuple[str, ...] = ("token_pairs", "token_angles", "span_pairs", "span_angles", "sample_angles")
    weights = {"sample_angles": 4.0}  # noqa: RUF012
    maps = ("fixed", "random")
    default_map = "uniform"
    mixable = False
    needs_words = True
    least_rows = 3

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        self.heads = relation_heads(between.student.width, between.teacher.width, HEADS)
        self.lower = min(LOWER, len(between.layer_map.pairs) - 1)
        self.terms = self.terms if self.lower else ("sample_angles",)

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the terms ``token_pairs``, ``token_angles``, ``span_pairs``, ``span_angles``, ``sample_angles``."""
        mask = target.mask
        words = target.words
        assert words is not None, "spans need Features.words"
        found: dict[str, list[Tensor]] = {}
        for number, (s, t) in enumerate(pairs):
            ours, theirs = full_precision(student.layers[s].hidden), full_precision(target.layers[t].hidden)
            if number >= self.lower:
                found.setdefault("sample_angles", []).append(
                    self._samples(mean_pool(ours, mask), mean_pool(theirs, mask))
                )
                continue
            spans = [pool_words(x, words) for x in (ours, theirs)]
            for name, (x, y, real) in (
                ("token", (ours, theirs, mask)),
                ("span", (spans[0][0], spans[1][0], spans[1][1])),
            ):
                dots, angles = self._local(x, y, real.bool())
                found.setdefault(f"{name}_pairs", []).append(dots)
                found.setdefault(f"{name}_angles", []).append(angles)
        counts = self.counts(mask)
        return {term: (torch.stack(each).mean(0).sum(), counts[term]) for term, each in found.items()}

    def counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the number of examples; of triples for samples."""
        n = len(mask)
        triples = torch.tensor(n * (n - 1) * (n - 2), device=mask.device)
        return super().counts(mask) | {"sample_angles": triples}

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

    def _local(self, ours: Tensor, theirs: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Return each example's loss of dots and of angles (B,), of tokens or spans (B, L, d)."""
        dots = [h @ h.transpose(-1, -2) * h.shape[-1] ** -0.5 for h in map(self._split, (ours, theirs))]
        both = real[:, :, None] & real[:, None, :]
        pairs = masked_mean((dots[0] - dots[1]).square().mean(1), both)

        attention = dots[1].masked_fill(~real[:, None, None, :], torch.finfo(dots[1].dtype).min).softmax(-1)
        attention = (attention * real[:, None, :, None]).sum(1)
        most = min(MOST, ours.shape[1])
        vertices = attention.sum(1).masked_fill(~real, -1.0).topk(most).indices
        rows = attention.gather(1, vertices[..., None].expand(-1, -1, attention.shape[-1]))
        rows = rows.scatter(2, vertices[..., None], -1.0).masked_fill(~real[:, None, :], -1.0)
        others = rows.topk(most).indices
        batch = torch.arange(len(real), device=real.device)[:, None]
        exists = real[batch, vertices][:, :, None] & real[batch[..., None], others] & (others != vertices[..., None])
        different = ~torch.eye(most, dtype=torch.bool, device=real.device)
        triples = exists[..., :, None] & exists[..., None, :] & different
        one, other = (Geometry.of(x, real).cosines(vertices, others) for x in (ours, theirs))
        return pairs, masked_mean(F.smooth_l1_loss(one, other, reduction="none"), triples)

    def _samples(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Return the loss of the angles among pooled samples (B, d), summed over triples, mean over heads."""
        n = len(ours)
        index = torch.arange(n, device=ours.device).expand(self.heads, -1)
        others = index[:, None, :].expand(-1, n, -1)
        one, other = (Geometry.of(self._split(x)).cosines(index, others) for x in (ours, theirs))
        # A triple with a repeated sample has no angle (0), or the angle between equal arms: left out.
        apart = ~torch.eye(n, dtype=torch.bool, device=ours.device)
        distinct = apart[:, :, None] & apart[:, None, :] & apart[None, :, :]
        return (F.smooth_l1_loss(one, other, reduction="none").mean(0) * distinct).sum()


def pool_words(x: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of each word's tokens (B, W, d), and which words exist (B, W).

    Args:
        x: tokens (B, L, d).
        words: (B, L), the number of each token's word, -1 for none.
    """
    most = max(int(words.max()) + 1, 1)
    member = F.one_hot(words.clamp(min=-1) + 1, most + 1)[..., 1:].to(x.dtype)
    size = member.sum(1)
    return member.transpose(1, 2) @ x / size.clamp(min=1)[..., None], size > 0
