"""Interpolation of a batch's rows at the output of the embedding module (`method.md` 6.1)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from crild.models.architecture import embedding_module


def neighbours(rows: int) -> list[int]:
    """Return each row's partner: rows 1-2, 3-4, ... swap; a last odd row joins its neighbours in a cycle of three.

    A batch of one row is its own partner, that is, it is not interpolated.
    """
    partners = [i ^ 1 for i in range(rows)]
    if rows % 2 and rows > 1:
        partners[-3:] = [rows - 2, rows - 1, rows - 3]
    elif rows == 1:
        partners = [0]
    return partners


def draw_lambda(*seed: int) -> float:
    """Draw ``max(lam, 1 - lam)`` with ``lam ~ Beta(1, 1)``; a function of ``seed`` alone, of no shared stream."""
    lam = float(np.random.default_rng(seed).beta(1.0, 1.0))
    return max(lam, 1.0 - lam)


@dataclass(frozen=True)
class Mixing:
    """How one batch is interpolated: row i becomes ``lam * row_i + (1 - lam) * row_partners[i]``."""

    lam: float
    partners: Tensor

    @classmethod
    def of(cls, partners: str, lam: float, rows: int, device: torch.device | str = "cpu") -> "Mixing":
        """Return the mixing of a batch of ``rows`` rows, each with its ``neighbour`` or in ``reversed`` order."""
        chosen = neighbours(rows) if partners == "neighbour" else list(reversed(range(rows)))
        return cls(lam, torch.tensor(chosen, device=device))

    def union(self, mask: Tensor) -> Tensor:
        """Return ``m_i OR m_partner(i)`` (B, L)."""
        return torch.maximum(mask, mask.index_select(0, self.partners))

    def blend(self, x: Tensor) -> Tensor:
        """Return ``lam * x_i + (1 - lam) * x_partner(i)`` for rows along the first dimension."""
        return self.lam * x + (1.0 - self.lam) * x.index_select(0, self.partners)


@contextmanager
def mixed_embeddings(model: PreTrainedModel, mixing: Mixing | None, own_mask: Tensor) -> Iterator[None]:
    """Within the context, ``model`` interpolates the output of its embedding module.

    The caller passes ``input_ids`` (never ``inputs_embeds``: RoBERTa and MPNet derive positions from ids) and the
    union mask; an embedding module that takes a mask (DeBERTa's) gets each row's own one instead.
    """
    if mixing is None:
        yield
        return
    embeddings = embedding_module(model)

    def use_own_mask(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return args, {k: own_mask if k in ("mask", "attention_mask") else v for k, v in kwargs.items()}

    handles = [
        embeddings.register_forward_pre_hook(use_own_mask, with_kwargs=True),
        embeddings.register_forward_hook(lambda module, args, output: mixing.blend(output)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
