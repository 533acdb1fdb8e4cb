"""Robustness to noise on the weights: how loss and score change when every tensor is shaken."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from crild.diagnostics.case import SPLITS, Case, Diagnostic
from crild.diagnostics.passes import measured
from crild.diagnostics.progress import track
from crild.diagnostics.weights import PER_WEIGHT_DRAWN, PER_WEIGHT_SET, standard_normal, unchanged
from crild.inference import parameters

SCALES = (0.05, 0.1, 0.2, 0.3)
DRAWS = 3


@torch.no_grad()
def noise_robustness(
    model: nn.Module,
    measure: Callable[[Any], Mapping[str, float]],
    scales: Sequence[float] = SCALES,
    draws: int = DRAWS,
    seed: int = 0,
    title: str = "noise",
) -> dict[str, Any]:
    """Return what ``measure`` says of a model under Gaussian noise on its weights.

    A tensor ``w`` becomes ``w + s * rms(w) * z``, with ``z`` standard normal and ``rms`` the root of the mean square:
    the noise of scale ``s`` is about ``s`` times as long as the tensor itself. One draw of ``z`` serves all scales, and
    every model with the same shapes. The weights are restored bit for bit.

    Args:
        model: any module.
        measure: what is looked at, by name, of the model as it is then.
        scales: ``s``; 0 is measured as well, and comes first.
        draws: of ``z``.
        seed: of the draws; no other random stream is touched.
        title: of the progress bar.

    Returns:
        ``scales``, and by name of ``measure`` each scale's ``mean``, ``low`` and ``high`` over the draws (the lowest
        and highest of them), and all ``draws`` (draws, scales).

    Source: `method.md` 7, after Ko et al. 2023.

    Example:
        >>> crild.diagnostics.noise_robustness(model, lambda m: crild.diagnostics.measured(m, rows))
    """
    with unchanged(model) as weights:
        clean = measure(model)
        found = [[clean] for _ in range(draws)]
        noise: list[Any] = []
        for step in track(range(draws * len(scales)), title):
            draw, place = divmod(step, len(scales))
            if place == 0:
                noise = standard_normal([original for _, original in weights], seed, draw)
                for z, (_, original) in zip(noise, weights, strict=True):
                    z.mul_(original.square().mean().sqrt())
            for z, (parameter, original) in zip(noise, weights, strict=True):
                torch.add(original, z, alpha=scales[place], out=parameter)
            found[draw].append(measure(model))
    out: dict[str, Any] = {"scales": [0.0, *scales]}
    for name in found[0][0]:
        values = np.array([[each[name] for each in line] for line in found])
        out[name] = {
            "mean": values.mean(0).tolist(),
            "low": values.min(0).tolist(),
            "high": values.max(0).tolist(),
            "draws": values.tolist(),
        }
    return out


# ---- of a run ----

SHOWN = 0.2  # the scale in the table


def of_run(case: Case) -> dict[str, Any]:
    """Return the noise curves of every model, on training and on held-out rows under the same noise."""
    rows = {split: case.sample(split) for split in SPLITS}

    def measure(model: Any) -> dict[str, float]:
        found = {split: measured(model, rows[split], case.measure) for split in SPLITS}
        return {f"{split} {name}": value for split in SPLITS for name, value in found[split].items()}

    models: dict[str, Any] = {}
    for role, model in case.models.items():
        curves = noise_robustness(model, measure, seed=case.seed, title=f"noise, {role}")
        models[role] = {split: {name: curves[f"{split} {name}"] for name in ("score", "loss")} for split in SPLITS}
    return {
        "axes": {
            "scales": {"label": "noise on the weights", "unit": "share of each tensor's root mean square"},
            "score": {"label": case.metric, "unit": "share"},
            "loss": {"label": "the task's loss", "unit": "mean over rows"},
            "mean": {"label": "mean over draws of the noise", "unit": ""},
            "low": {"label": "lowest draw", "unit": ""},
            "high": {"label": "highest draw", "unit": ""},
            "draws": {"label": "every draw, a line each, by scale", "unit": ""},
        },
        "scales": [0.0, *SCALES],
        "models": models,
    }


def fall(scores: Sequence[float], scales: Sequence[float]) -> float:
    """Return what a score loses under noise of the scale `SHOWN`."""
    return scores[0] - scores[list(scales).index(SHOWN)]


DIAGNOSTIC = Diagnostic(
    name="noise",
    title="score and loss under Gaussian noise on the weights",
    run=of_run,
    seconds=lambda case: (
        case.seconds(dict.fromkeys(case.models, 2 * case.count * (1 + DRAWS * len(SCALES))))
        + sum(DRAWS * (PER_WEIGHT_DRAWN + len(SCALES) * PER_WEIGHT_SET) * parameters(m) for m in case.models.values())
    ),
    summary=lambda figures: {
        role: {"drop": fall(found["held_out"]["score"]["mean"], figures["scales"])}
        for role, found in figures["models"].items()
    },
)
