"""Distances and angles among a set of vectors, for the objectives that match them."""

from dataclasses import dataclass

import torch
from torch import Tensor

CLOSE = 32  # rounding errors: points closer than that have distance 0 and no angle


@dataclass(frozen=True)
class Geometry:
    """A set's inner products and distances, (..., n, n) each."""

    products: Tensor
    distances: Tensor

    @classmethod
    def of(cls, x: Tensor, mask: Tensor | None = None) -> "Geometry":
        """Return the geometry of vectors x (..., n, d), without a gradient where points coincide.

        Real ones by ``mask`` (..., n) are centred: neither distances nor angles change, but rounding errors shrink.
        """
        if mask is not None:
            x = x * mask.to(x.dtype)[..., None]
        real = x.shape[-2] if mask is None else mask.sum(-1)[..., None, None].clamp(min=1)
        x = x - x.sum(-2, keepdim=True) / real
        products = x @ x.transpose(-1, -2)
        norms = products.diagonal(dim1=-2, dim2=-1)
        squares = norms[..., :, None] + norms[..., None, :] - 2 * products
        numbers = torch.finfo(x.dtype)
        apart = squares > CLOSE * numbers.eps * (norms[..., :, None] + norms[..., None, :])
        apart &= squares > numbers.tiny**0.5  # nearer ones have no gradient that is a number
        return cls(products, torch.where(apart, squares, torch.ones_like(squares)).sqrt() * apart)

    def cosines(self, vertices: Tensor, others: Tensor) -> Tensor:
        """Return the cosine of the angle at each vertex between two others; 0 where one of them is the vertex itself.

        Args:
            vertices: (B, V) indices.
            others: (B, V, K) indices.

        Returns:
            (B, V, K, K).
        """
        batch = torch.arange(len(self.products), device=others.device)[:, None, None]
        at, distance = vertices[:, :, None], self.distances
        arm = self.products[batch, at, others]
        square = self.products[batch, at, at]
        between = self.products[batch[..., None], others[..., :, None], others[..., None, :]]
        length = distance[batch, at, others]
        scale = length[..., :, None] * length[..., None, :]
        dots = between - arm[..., :, None] - arm[..., None, :] + square[..., None]
        cosines = (dots / scale.where(scale > 0, torch.ones_like(scale))).clamp(-1.0, 1.0)
        return torch.where(scale > 0, cosines, torch.zeros_like(dots))


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (B, d) over the real tokens of hidden states (B, L, d)."""
    weights = mask.to(hidden.dtype)
    return (hidden * weights[..., None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return each example's mean of ``values`` (B, ...) where ``mask`` (B, ...) holds; 0 where it holds nowhere."""
    mask = mask.expand_as(values).flatten(1)
    return (values.flatten(1) * mask).sum(1) / mask.sum(1).clamp(min=1)


def pairs_of_tokens(mask: Tensor) -> Tensor:
    """Return which pairs of different real tokens there are: (B, L, L), from a mask (B, L)."""
    real = mask.bool()
    different = ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return real[:, :, None] & real[:, None, :] & different
