"""Loss surfaces: how losses rise around a model's weights, along random directions as long as these."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crild.diagnostics.case import SPLITS, TRAIN, Case, Diagnostic
from crild.diagnostics.progress import track
from crild.diagnostics.rows import Batch, count
from crild.diagnostics.weights import PER_WEIGHT_SET, standard_normal, unchanged
from crild.inference import parameters


def filter_normalised(model: nn.Module, number: int = 1, seed: int = 0) -> list[list[Tensor]]:
    """Return random directions, each a tensor a parameter, in which every filter is as long as the model's own.

    A filter is a row of a weight matrix (what one output is made of; of an embedding table, one token's vector).
    Tensors of one dimension (biases, normalisations) do not move.

    Args:
        model: any module.
        number: of directions; the k-th is a function of (seed, k) and the shapes, before it is normalised.
        seed: of the draws; no other random stream is touched.

    Source: Li et al. 2018, NeurIPS, arXiv 1712.09913, section 4.
    """
    weights = [parameter.detach() for parameter in model.parameters()]
    out = []
    for place in range(number):
        direction = standard_normal(weights, seed, place)
        for each, weight in zip(direction, weights, strict=True):
            if weight.dim() < 2:
                each.zero_()
                continue
            filters, own = each.flatten(1), weight.flatten(1)
            lengths = filters.norm(dim=1, keepdim=True)
            each.copy_((filters * own.norm(dim=1, keepdim=True) / lengths).view_as(each))
        out.append(direction)
    return out


@torch.no_grad()
def loss_surface(
    model: nn.Module,
    losses: Callable[[Any], Mapping[str, Any]],
    directions: Sequence[Sequence[Tensor]],
    points: Sequence[Sequence[float]],
    title: str = "surface",
) -> dict[str, list[float]]:
    """Return losses at points of the plane (or the line) through the weights that some directions span.

    Args:
        model: any module; its weights are restored bit for bit.
        losses: of the model as it is then, by name; see `Losses`.
        directions: D of them, see `filter_normalised`.
        points: coordinates, D a point; at 0 the losses are the model's own, to the last bit.
        title: of the progress bar.

    Returns:
        By name of ``losses``, one number a point.
    """
    found: dict[str, list[float]] = {}
    with unchanged(model) as weights:
        for point in track(list(points), title):
            for place, (parameter, original) in enumerate(weights):
                parameter.copy_(original)
                for coordinate, direction in zip(point, directions, strict=True):
                    parameter.add_(direction[place], alpha=coordinate)
            for name, value in losses(model).items():
                found.setdefault(name, []).append(float(value))
    return found


def grid(side: Sequence[float]) -> list[tuple[float, float]]:
    """Return the points of a square, line by line: the first coordinate is the line's."""
    return [(a, b) for a in side for b in side]


# ---- of a run ----

ROWS = 64
LINE = np.round(np.linspace(-1, 1, 11), 6).tolist()
PLANE = np.round(np.linspace(-1, 1, 9), 6).tolist()


def of_run(case: Case) -> dict[str, Any]:
    """Return each model's losses along one direction, and the student's on the plane of two."""
    rows = {split: case.sample(split, most=ROWS) for split in SPLITS}
    models = {role: around(case, role, rows, plane=role == "student") for role in case.models}
    return {
        "axes": {
            "line_at": {"label": "along the first random direction", "unit": "lengths of each filter"},
            "plane_at": {"label": "along the first direction (lines) and the second (columns)",
                         "unit": "lengths of each filter"},
            "task": {"label": "the task's loss", "unit": "mean over rows"},
            "ild": {"label": f"the loss to the teacher: {case.matching}", "unit": "weighted sum of terms"},
        },
        "rows_looked_at": {split: count(found) for split, found in rows.items()},
        "line_at": LINE,
        "plane_at": PLANE,
        "models": models,
    }  # fmt: skip


def around(case: Case, role: str, rows: Mapping[str, list[Batch]], plane: bool) -> dict[str, Any]:
    """Return a model's losses on rows of each split along a line and, if wanted, on training rows on the plane."""
    model = case.models[role]
    directions = filter_normalised(model, 2, case.seed)
    out: dict[str, Any] = {"line": {}}
    for split in SPLITS:
        losses = case.losses(role, rows[split])
        title = f"surface, {role}, {split.replace('_', ' ')}"
        out["line"][split] = loss_surface(model, losses, directions[:1], [(a,) for a in LINE], title)
        if plane and split == TRAIN:
            found = loss_surface(model, losses, directions, grid(PLANE), f"{title}, plane")
            out["plane"] = {split: {name: square(values) for name, values in found.items()}}
    return out


def square(values: Sequence[float]) -> list[list[float]]:
    """Return the numbers of `grid`'s points, a list a line."""
    return np.reshape(values, (len(PLANE), len(PLANE))).tolist()


def seconds(case: Case) -> float:
    """Return about how long the surfaces take."""
    points = {role: 2 * len(LINE) + (len(PLANE) ** 2 if role == "student" else 0) for role in case.models}
    moved = sum(PER_WEIGHT_SET * parameters(case.models[role]) * n for role, n in points.items())
    return case.seconds({role: n * ROWS for role, n in points.items()}) * 1.5 + moved


DIAGNOSTIC = Diagnostic(
    name="surface",
    title="losses along random directions as long as the weights' own filters",
    run=of_run,
    seconds=seconds,
)
