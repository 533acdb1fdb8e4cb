"""Metrics of arrays: scores, their intervals, and which metric a task has; numpy and its kin alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats
from sklearn.metrics import f1_score, matthews_corrcoef

from crild.errors import CrildError, nearest

Measure = Callable[[np.ndarray, np.ndarray], float]


def correlation(function: Callable[..., Any]) -> Measure:
    """Return a correlation that reads 0 where one side is constant, instead of NaN."""

    def measure(truth: np.ndarray, output: np.ndarray) -> float:
        if np.ptp(truth) == 0 or np.ptp(output) == 0:
            return 0.0
        return float(function(truth, output).statistic)

    return measure


def mean_of(*measures: Measure) -> Measure:
    """Return the mean of several measures."""
    return lambda truth, output: float(np.mean([measure(truth, output) for measure in measures]))


pearson, spearman = correlation(stats.pearsonr), correlation(stats.spearmanr)


def accuracy(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the share of equal classes."""
    return float(np.mean(truth == output))


def f1(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the F1 of class 1 against class 0."""
    return float(f1_score(truth, output, pos_label=1, zero_division=0))


def macro_f1(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the mean F1 over classes."""
    return float(f1_score(truth, output, average="macro", zero_division=0))


def matthews(truth: np.ndarray, output: np.ndarray) -> float:
    """Return Matthews' correlation coefficient."""
    return float(matthews_corrcoef(truth, output))


METRICS: dict[str, dict[str, Measure]] = {
    "classification": {
        "accuracy": accuracy,
        "f1": f1,
        "accuracy_f1": mean_of(accuracy, f1),
        "macro_f1": macro_f1,
        "matthews": matthews,
    },
    "regression": {
        "pearson": pearson,
        "spearman": spearman,
        "pearson_spearman": mean_of(pearson, spearman),
    },
}
TWO_CLASSES = ("f1", "accuracy_f1")


def default_metric(kind: str) -> str:
    """Return the metric of a task that names none."""
    return "accuracy" if kind == "classification" else "pearson_spearman"


def find_metric(name: str, kind: str, classes: int, positive: int = 1) -> Measure:
    """Return a measure by name; F1 is about the class ``positive``.

    Raises:
        CrildError: there is no such metric for this kind of task.
    """
    known = METRICS[kind]
    if name not in known:
        raise CrildError(f"no metric {name!r} for {kind}{nearest(name, known)}: use one of {', '.join(known)}")
    if name in TWO_CLASSES and classes != 2:
        raise CrildError(f"metric {name!r} needs two classes, the task has {classes}: use macro_f1")
    return about(known[name], positive) if name in TWO_CLASSES else known[name]


def about(measure: Measure, positive: int) -> Measure:
    """Return a measure of two classes in which ``positive`` counts as class 1."""
    return lambda truth, output: measure((truth == positive).astype(int), (output == positive).astype(int))


def to_output(logits: np.ndarray) -> np.ndarray:
    """Return the predicted class (B, C > 1) or number (B, 1) of each row."""
    return logits[:, 0] if logits.shape[1] == 1 else logits.argmax(-1)


def all_scores(truth: np.ndarray, logits: np.ndarray, positive: int = 1) -> dict[str, float]:
    """Return every metric that applies."""
    classes = logits.shape[1]
    kind = "regression" if classes == 1 else "classification"
    output = to_output(logits)
    return {
        name: find_metric(name, kind, classes, positive)(truth, output)
        for name in METRICS[kind]
        if classes in (1, 2) or name not in TWO_CLASSES
    }


def bootstrap_interval(
    measure: Measure, truth: np.ndarray, output: np.ndarray, level: float = 0.95, resamples: int = 1000
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a score over rows (Efron and Tibshirani 1993, chapter 13)."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(truth), (resamples, len(truth)))
    values = [measure(truth[chosen], output[chosen]) for chosen in rows]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
