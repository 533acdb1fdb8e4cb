"""Overfitting as a gap: every term on training rows and on held-out rows, by epoch and at the end of a run."""

from collections.abc import Sequence
from typing import Any

from crild.diagnostics.case import HELD_OUT, SPLITS, TRAIN, Case, Diagnostic
from crild.diagnostics.passes import measured
from crild.models.capture import evaluation_mode


def logged_gaps(history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return every term of a stage by epoch, from its log.

    Args:
        history: of the stage, see `crild.RunFolder.history`.

    Returns:
        ``epoch`` and ``step`` of each evaluation, the first before the first step; ``terms``: by name ``train`` (the
        mean over the steps since the evaluation before; ``None`` at the first), ``held_out`` and ``gap`` (held out less
        train); ``score`` on the held-out rows, ``None`` where there is none.
    """
    names = dict.fromkeys(name for entry in history for name in entry["held_out"])
    terms = {}
    for name in names:
        train = [entry["train"].get(name) for entry in history]
        held_out = [entry["held_out"].get(name) for entry in history]
        gap = [None if a is None or b is None else b - a for a, b in zip(train, held_out, strict=True)]
        terms[name] = {"train": train, "held_out": held_out, "gap": gap}
    return {
        "epoch": [entry["epoch"] for entry in history],
        "step": [entry["step"] for entry in history],
        "terms": terms,
        "score": [entry.get("score") for entry in history],
    }


def end_gap(train: dict[str, float], held_out: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return what was measured of a model on training and held-out rows, by name, with the gap.

    The gap of a loss is what it is higher on held-out rows, that of a score what it is lower: above 0 is overfitting.
    """
    return {
        name: {
            "train": train[name],
            "held_out": held_out[name],
            "gap": (train[name] - held_out[name]) * (1 if name == "score" else -1),
        }
        for name in train
    }


# ---- of a run ----


def by_epoch(case: Case) -> dict[str, Any]:
    """Return the terms of every stage by epoch, from its log."""
    stages = {}
    for stage in case.run.plan.stages:
        if history := case.run.history(stage.name):
            stages[stage.name] = {"title": stage.title, "trains": stage.trains, **logged_gaps(history)}
    moving = "mean over the steps since the last evaluation, with dropout and while the weights moved"
    return {
        "axes": {
            "epoch": {"label": "epoch of the stage", "unit": "passes over its rows"},
            "step": {"label": "optimiser step of the stage", "unit": "steps"},
            "train": {"label": f"training rows: {moving}", "unit": "as the term's"},
            "held_out": {"label": "selection rows, in evaluation mode", "unit": "as the term's"},
            "gap": {"label": "held out less train", "unit": "as the term's"},
            "score": {"label": f"{case.metric} on the selection rows", "unit": "share"},
        },
        "stages": stages,
        "models": {},
    }


def at_the_end(case: Case) -> dict[str, Any]:
    """Return the losses and the score of the finished models, on training rows and on held-out rows."""
    rows = {split: case.sample(split) for split in SPLITS}
    models = {}
    for role, model in case.models.items():
        found = {split: measured(model, rows[split], case.measure) for split in SPLITS}
        if role == "student" and case.objective is not None:
            for split in SPLITS:
                with evaluation_mode(model):
                    found[split]["ild"] = float(case.losses(role, rows[split])(model)["ild"])
        models[role] = end_gap(found[TRAIN], found[HELD_OUT])
    return {
        "axes": {
            "loss": {"label": "the task's loss", "unit": "mean over rows"},
            "ild": {"label": case.matching, "unit": "weighted sum of terms"},
            "score": {"label": case.metric, "unit": "share"},
            "train": {"label": "training rows, with the labels that were trained on", "unit": "as what is measured"},
            "held_out": {"label": "held-out rows", "unit": "as what is measured"},
            "gap": {"label": "overfitting: what a loss is higher, a score lower, on held-out rows", "unit": "as these"},
        },
        "models": models,
    }


GAP = Diagnostic(
    name="gap",
    title="every term on training rows and on held-out rows, by epoch of each stage",
    run=by_epoch,
    seconds=lambda case: 0.0,
    needs_rows=False,
)
FIT = Diagnostic(
    name="fit",
    title="losses and score of the finished models on training rows and on held-out rows",
    run=at_the_end,
    seconds=lambda case: case.seconds(dict.fromkeys(case.models, 4 * case.count)),
    summary=lambda figures: {role: {"gap": found["score"]["gap"]} for role, found in figures["models"].items()},
)
