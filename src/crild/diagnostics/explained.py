"""How much of what the teacher's head reads can be told from what the student's head reads."""

from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score

from crild.diagnostics.case import SPLITS, Case, Diagnostic, needs_teacher
from crild.models.shape import head_pooling

ALPHAS = np.logspace(-2, 4, 7)


def explained_share(
    student: tuple[np.ndarray, np.ndarray], teacher: tuple[np.ndarray, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Return the share of the teacher's vectors that the student's explain, on training and on held-out rows.

    ``linear`` is R^2 of a ridge regression that was fitted on the training rows (its strength by leave-one-out, among
    `ALPHAS`); ``as_is``, where both are as wide, is R^2 of the student's vectors as they are. Squared differences of
    all dimensions are added up, and divided by those from the rows' own mean: 1 is all, 0 no more than the mean.

    Args:
        student: vectors (n, d) of training rows and (m, d) of held-out rows, see `layer_vectors`.
        teacher: (n, e) and (m, e), of the same rows.

    Returns:
        ``linear``, and perhaps ``as_is``, each with ``train`` and ``held_out``.
    """
    regression = RidgeCV(alphas=ALPHAS).fit(student[0], teacher[0])
    out = {"linear": {split: share(y, regression.predict(x)) for split, x, y in paired(student, teacher)}}
    if student[0].shape[1] == teacher[0].shape[1]:
        out["as_is"] = {split: share(y, x) for split, x, y in paired(student, teacher)}
    return out


def paired(
    student: tuple[np.ndarray, np.ndarray], teacher: tuple[np.ndarray, np.ndarray]
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return each split's name with the vectors of both."""
    return list(zip(("train", "held_out"), student, teacher, strict=True))


def share(truth: np.ndarray, guess: np.ndarray) -> float:
    """Return R^2 over all dimensions together."""
    return float(r2_score(truth, guess, multioutput="variance_weighted"))


# ---- of a run ----


def of_run(case: Case) -> dict[str, Any]:
    """Return how much of what the teacher's head reads each other model explains."""
    theirs = case.vectors("teacher")[-1]
    ours = {role: case.vectors(role)[-1] for role in case.learners}
    return {
        "axes": {
            "linear": {"label": "share of the teacher's vector that a ridge regression on the model's explains",
                       "unit": "R^2"},
            "as_is": {"label": "share of the teacher's vector that the model's own is", "unit": "R^2"},
            "train": {"label": "training rows, on which the regression was fitted", "unit": ""},
            "held_out": {"label": "held-out rows", "unit": ""},
        },
        "fitted_rows": {split: len(vectors) for split, vectors in zip(SPLITS, theirs, strict=True)},
        "vector": {role: pooled(model.config) for role, model in case.layered.items()},
        "models": {role: explained_share(found, theirs) for role, found in ours.items()},
    }  # fmt: skip


def pooled(config: Any) -> str:
    """Return in words which vector of the last layer is looked at."""
    words = {"first": "the first token's state", "mean": "the mean state of the real tokens"}
    return words.get(head_pooling(config), f"{words['mean']}; this head reads every token by itself")


DIAGNOSTIC = Diagnostic(
    name="explained",
    title="share of what the teacher's head reads that the student's explains",
    run=of_run,
    seconds=lambda case: case.vector_seconds() + 2,
    summary=lambda figures: {role: {"explained": x["linear"]["held_out"]} for role, x in figures["models"].items()},
    lacks=needs_teacher,
)
