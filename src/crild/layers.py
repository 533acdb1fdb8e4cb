"""Layer maps: which student layer learns from which teacher layer (`method.md` 5). Layers count from 1."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from crild.errors import CrildError, nearest

Pairs = tuple[tuple[int, int], ...]


def all_to_all(n: int, m: int) -> Pairs:
    """Return every pair, student layers outside."""
    return tuple((i, j) for i in range(1, m + 1) for j in range(1, n + 1))


FIXED: dict[str, Callable[[int, int], Pairs]] = {
    "last": lambda n, m: ((m, n),),
    "uniform": lambda n, m: tuple((i, math.ceil(i * n / m)) for i in range(1, m + 1)),
    "skip": lambda n, m: tuple((i, i * n // m) for i in range(1, m)),
    "last-k": lambda n, m: tuple((i, n - m + i) for i in range(1, m)),
    "first": lambda n, m: tuple((i, i) for i in range(1, m + 1)),
    "emd": all_to_all,
    "all": all_to_all,
}
MAPS = {
    "last": "the student's last layer from the teacher's last",
    "uniform": "layer i of M from layer ceil(i N / M) of N",
    "skip": "layer i < M from layer floor(i N / M)",
    "last-k": "layer i < M from layer N - M + i",
    "first": "layer i from layer i",
    "random": "layers 1 to M - 1 from M - 1 sorted random layers below N, drawn anew each epoch",
    "emd": "every layer from every layer, weighted by the optimal transport plan",
    "all": "every layer from every layer, weighted by the objective itself (alp-kd)",
}
HELD_OUT_DRAW = 0  # the draw of `random` that held-out losses are measured with, so that they can be compared


class LayerMap(nn.Module):
    """The pairs of one named map between two models.

    ``random`` is redrawn by `redraw`; its draw is a buffer, so it is in checkpoints. In evaluation mode it is one
    fixed draw: a held-out loss that falls is then the student's doing, not the draw's.

    Args:
        name: a key of `MAPS`, or explicit pairs such as ``1-2,3-6`` (student-teacher).
        teacher_layers: N.
        student_layers: M.

    Raises:
        CrildError: the name is unknown, a pair names a layer that does not exist, or no pair is left.
    """

    drawn: Tensor
    held_out: Tensor

    def __init__(self, name: str, teacher_layers: int, student_layers: int) -> None:
        super().__init__()
        self.name, self.teacher_layers, self.student_layers = name, teacher_layers, student_layers
        if name == "random":
            if student_layers > teacher_layers:
                raise CrildError(
                    f"layer map 'random' needs at least {student_layers} teacher layers, one a student layer"
                )
            self.register_buffer("held_out", self._draw(HELD_OUT_DRAW), persistent=False)
            self.register_buffer("drawn", self.held_out.clone())
            pairs = self.pairs
        elif name in FIXED:
            pairs = FIXED[name](teacher_layers, student_layers)
        else:
            pairs = explicit_pairs(name)
        if not pairs:
            raise CrildError(
                f"layer map {name!r} leaves the student's last layer out, and the student has only that one: "
                "use --layer-map last, or a student of 2 layers or more"
            )
        for s, t in pairs:
            if not (1 <= s <= student_layers and 1 <= t <= teacher_layers):
                raise CrildError(
                    f"layer map {name!r} pairs student layer {s} with teacher layer {t}, but the student has layers "
                    f"1-{student_layers} and the teacher 1-{teacher_layers}"
                )
        self._fixed = pairs

    @property
    def pairs(self) -> Pairs:
        """(student layer, teacher layer) pairs."""
        if self.name != "random":
            return self._fixed
        layers = (self.drawn if self.training else self.held_out).tolist()
        return tuple(enumerate(layers, start=1))

    def redraw(self, *seed: int) -> None:
        """Draw a ``random`` map anew, as a function of ``seed`` alone; other maps stay."""
        if self.name == "random":
            self.drawn.copy_(self._draw(*seed))

    def _draw(self, *seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        below = rng.choice(self.teacher_layers - 1, self.student_layers - 1, replace=False) + 1
        return torch.from_numpy(np.sort(below))


def map_family(name: str) -> str:
    """Return ``fixed`` for a map that gives each student layer its teacher layer for good, else the map's name."""
    return name if name in ("random", "emd", "all") else "fixed"


def explicit_pairs(name: str) -> Pairs:
    """Return the pairs that ``1-2,3-6`` names, in the student's order."""
    try:
        pairs = sorted((int(s), int(t)) for s, t in (pair.split("-") for pair in name.split(",")))
    except ValueError:
        raise CrildError(
            f"unknown layer map {name!r}{nearest(name, MAPS)}: use one of {', '.join(MAPS)}, or pairs like 1-2,3-6"
        ) from None
    if len(set(pairs)) < len(pairs):
        raise CrildError(f"layer map {name!r} names a pair twice")
    return tuple(pairs)
