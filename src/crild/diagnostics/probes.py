"""Linear probes: what a linear classifier can tell of each layer."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crild.diagnostics.case import HELD_OUT, TRAIN, Case, Diagnostic
from crild.diagnostics.progress import track
from crild.diagnostics.rows import labels_of
from crild.metrics import Measure

STRENGTH = 0.1  # of the classifiers' fit, scikit-learn's C: there are as many numbers a row as rows, or more
PROBES: dict[str, Callable[[], Any]] = {
    "classification": lambda: LogisticRegression(C=STRENGTH, max_iter=200),
    "multi-label": lambda: OneVsRestClassifier(LogisticRegression(C=STRENGTH, max_iter=200)),
    "regression": lambda: Ridge(1 / STRENGTH),
}
"""By task type."""


def layer_probes(
    layers: Sequence[tuple[np.ndarray, np.ndarray]],
    labels: tuple[np.ndarray, np.ndarray],
    task_type: str,
    metric: Measure,
    title: str = "probes",
) -> dict[str, list[float]]:
    """Return how well a linear probe of each layer does, on the training rows that it was fitted on and held-out ones.

    A probe is a logistic regression (of numbers, a ridge regression) on standardised vectors.

    Args:
        layers: of each layer the vectors (n, d) of training rows and (m, d) of held-out rows, see `layer_vectors`.
        labels: of the training rows and of the held-out rows.
        task_type: a key of `PROBES`.
        metric: of (truth, answers).
        title: of the progress bar.

    Returns:
        ``train`` and ``held_out``: a score a layer.

    Source: Alain and Bengio 2016, arXiv 1610.01644.
    """
    out: dict[str, list[float]] = {"train": [], "held_out": []}
    for vectors in track(layers, title):
        probe = make_pipeline(StandardScaler(), PROBES[task_type]())
        with warnings.catch_warnings():  # a label that no row has; steps enough for a probe
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(vectors[0], labels[0])
            for split, x, truth in zip(out, vectors, labels, strict=True):
                out[split].append(float(metric(truth, probe.predict(x))))
    return out


# ---- of a run ----


def of_run(case: Case) -> dict[str, Any]:
    """Return the probes of every layer of every model."""
    assert case.task_type is not None
    assert case.measure is not None
    labels = (labels_of(case.sample(TRAIN, fit=True)), labels_of(case.sample(HELD_OUT, fit=True)))
    models = {
        role: layer_probes(case.vectors(role), labels, case.task_type.name, case.measure, f"probes, {role}")
        for role in case.layered
    }
    return {
        "axes": {
            "layer": {"label": "layer, in the order of the numbers", "unit": "number; 0 is what the first layer sees"},
            "train": {"label": f"{case.metric} on the training rows that the probe was fitted on", "unit": "share"},
            "held_out": {"label": f"{case.metric} on held-out rows", "unit": "share"},
        },
        "fitted_rows": len(labels[0]),
        "models": models,
    }


def lacks(case: Case) -> str:
    """Return why nothing can be probed, or an empty text."""
    if not case.layered:
        return "a static model has no layers"
    if case.rows is None or case.task_type is None:
        return ""
    if case.task_type.name not in PROBES:
        return f"there is no probe for {case.task_type.name}"
    one = len(np.unique(labels_of(case.sample(TRAIN, fit=True)), axis=0)) < 2
    return "the training rows that were drawn have one label" if one else ""


DIAGNOSTIC = Diagnostic(
    name="probes",
    title="what a linear classifier can tell of each layer",
    run=of_run,
    seconds=lambda case: case.vector_seconds() + sum(m.config.num_hidden_layers + 1 for m in case.layered.values()) / 2,
    summary=lambda figures: {role: {"probe": found["held_out"][-1]} for role, found in figures["models"].items()},
    lacks=lacks,
)
