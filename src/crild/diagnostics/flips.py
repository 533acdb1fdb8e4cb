"""Memorised flips: how often a model gives the wrong labels that some training rows were given on purpose."""

from typing import Any

import numpy as np

from crild.diagnostics.case import FIT, HELD_OUT, Case, Diagnostic
from crild.diagnostics.passes import logits_of
from crild.diagnostics.rows import labels_of
from crild.tasks.base import TaskType


def memorised_flips(task_type: TaskType, answers: np.ndarray, wrong: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Return to which labels a model's answers to corrupted rows go, as shares of these rows.

    An answer goes to the label that it is nearer to (with one class a row: that it is).

    Args:
        task_type: says how far apart answers are.
        answers: (n,) or (n, C), of the rows whose label was replaced.
        wrong: the labels that they were given.
        right: the labels that they had.

    Returns:
        ``wrong`` (memorised), ``right`` (told better), and ``neither``.
    """
    to_wrong, to_right = task_type.apart(answers, wrong), task_type.apart(answers, right)
    shares = {"wrong": float(np.mean(to_wrong < to_right)), "right": float(np.mean(to_right < to_wrong))}
    return shares | {"neither": 1.0 - shares["wrong"] - shares["right"]}


# ---- of a run ----


def of_run(case: Case) -> dict[str, Any]:
    """Return what each model answers to the corrupted rows, and how often it gives other training rows their label."""
    assert case.rows is not None
    assert case.rows.corrupted is not None
    assert case.rows.right is not None
    assert case.task_type is not None
    corrupted, right = (case.rows.batches(each) for each in (case.rows.corrupted, case.rows.right))
    wrong, right_labels = labels_of(corrupted), labels_of(right)
    models = {}
    for role, model in case.models.items():
        answers = case.task_type.answers(logits_of(model, corrupted).numpy())
        models[role] = memorised_flips(case.task_type, answers, wrong, right_labels)
    return {
        "axes": {
            "wrong": {"label": "answers that are the wrong label a row was given", "unit": "share of corrupted rows"},
            "right": {"label": "answers that are the label a row had before", "unit": "share of corrupted rows"},
            "neither": {"label": "other answers", "unit": "share of corrupted rows"},
        },
        "corrupted_rows": len(wrong),
        "models": models,
    }


def lacks(case: Case) -> str:
    """Return why there are no flips, or an empty text."""
    if case.rows is not None and not case.rows.corrupted:
        return "no training label was replaced on purpose (--label-noise)"
    return ""


DIAGNOSTIC = Diagnostic(
    name="flips",
    title="wrong labels that were given on purpose, and are learned by heart",
    run=of_run,
    seconds=lambda case: case.seconds(dict.fromkeys(case.models, FIT[HELD_OUT] * case.count)),
    summary=lambda figures: {role: {"flips": found["wrong"]} for role, found in figures["models"].items()},
    lacks=lacks,
)
