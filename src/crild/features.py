"""What an objective sees: the captured tensors of one forward pass."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class LayerFeatures:
    """Tensors of one Transformer layer; those that nobody asked for are ``None``.

    Attributes:
        hidden: the layer's output (B, L, d). For the last layer it is what the head sees.
        query, key, value: (B, h, L, d_h), as they enter attention.
        window: where the layer attends locally, positions i and j see each other if ``|i - j| < window``.
    """

    hidden: Tensor | None = None
    query: Tensor | None = None
    key: Tensor | None = None
    value: Tensor | None = None
    window: int | None = None

    def take(self, rows: Tensor) -> "LayerFeatures":
        """Return the same features with the batch rows reordered."""
        moved = {
            name: x.index_select(0, rows)
            for name in ("hidden", "query", "key", "value")
            if (x := getattr(self, name)) is not None
        }
        return LayerFeatures(**moved, window=self.window)


@dataclass(frozen=True)
class Features:
    """Features of one model on one batch.

    Attributes:
        mask: (B, L), 1 where a token counts. A divergence always uses the mask of its *target*.
        layers: by layer number, counted from 1; 0 is what the first layer sees.
        logits: (B, C) or ``None``.
        words: (B, L), the number of the word that a token belongs to, -1 where it belongs to none; or ``None``.
    """

    mask: Tensor
    layers: dict[int, LayerFeatures] = field(default_factory=dict)
    logits: Tensor | None = None
    words: Tensor | None = None

    def take(self, rows: Tensor) -> "Features":
        """Return the features of the batch with its rows reordered (a batch's partners, for instance)."""
        return Features(
            mask=self.mask.index_select(0, rows),
            layers={i: layer.take(rows) for i, layer in self.layers.items()},
            logits=None if self.logits is None else self.logits.index_select(0, rows),
            words=None if self.words is None else self.words.index_select(0, rows),
        )


def full_precision(x: Tensor | None) -> Tensor:
    """Return a captured tensor in at least 32 bits: losses are never computed in half precision."""
    assert x is not None, "not captured"
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
