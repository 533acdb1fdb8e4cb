"""Metrics of arrays: scores, their intervals, and their parts; numpy and its kin alone.

Scikit-learn and `scipy.stats` take a second to load: they are loaded when one of their scores is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Measure = Callable[[np.ndarray, np.ndarray], float]


def correlation(name: str) -> Measure:
    """Return a correlation of `scipy.stats` that reads 0 where one side is constant, instead of NaN."""

    def measure(truth: np.ndarray, output: np.ndarray) -> float:
        if np.ptp(truth) == 0 or np.ptp(output) == 0:
            return 0.0
        from scipy import stats

        return float(getattr(stats, name)(truth, output).statistic)

    return measure


def mean_of(*measures: Measure) -> Measure:
    """Return the mean of several measures."""
    return lambda truth, output: float(np.mean([measure(truth, output) for measure in measures]))


pearson, spearman = correlation("pearsonr"), correlation("spearmanr")


def accuracy(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the share of equal classes."""
    return float(np.mean(truth == output))


def f1(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the F1 of class 1 against class 0."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, output, pos_label=1, zero_division=0))


def macro_f1(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the mean F1 over classes."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, output, average="macro", zero_division=0))


def matthews(truth: np.ndarray, output: np.ndarray) -> float:
    """Return Matthews' correlation coefficient."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(truth, output))


def about(measure: Measure, positive: int) -> Measure:
    """Return a measure of two classes in which ``positive`` counts as class 1."""
    return lambda truth, output: measure((truth == positive).astype(int), (output == positive).astype(int))


def bootstrap_interval(
    measure: Measure, truth: np.ndarray, output: np.ndarray, level: float = 0.95, resamples: int = 1000
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a score over rows (Efron and Tibshirani 1993, chapter 13)."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(resamples):  # one at a time: all of them at once take 8 GB for a million rows
        chosen = rng.integers(0, len(truth), len(truth))
        values.append(measure(truth[chosen], output[chosen]))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class ClassScores:
    """How one class fared; a share of nothing is 0.

    Attributes:
        rows: that have it.
        precision: share of the answers with it that are right.
        recall: share of its rows that were answered with it.
        f1: the harmonic mean of both.
    """

    rows: int
    precision: float
    recall: float
    f1: float


def per_class(truth: np.ndarray, output: np.ndarray, classes: int) -> list[ClassScores]:
    """Return the scores of each class.

    Args:
        truth, output: class numbers (n,), or 0 and 1 for each class (n, C).
        classes: C.
    """
    true, said = (x == 1 if x.ndim == 2 else x[:, None] == np.arange(classes) for x in (truth, output))
    out = []
    for hits, rows, answers in zip((true & said).sum(0), true.sum(0), said.sum(0), strict=True):
        shares = (hits / max(answers, 1), hits / max(rows, 1), 2 * hits / max(rows + answers, 1))
        out.append(ClassScores(int(rows), *map(float, shares)))
    return out
