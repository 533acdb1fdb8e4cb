"""Metrics of arrays: scores, their intervals, and their parts; numpy and its kin alone.

Scikit-learn and `scipy.stats` take a second to load: they are loaded when something of theirs is asked for. A bootstrap
asks for a score a thousand times, so F1, Matthews' coefficient and correlations are counted here, ten to a hundred
times as fast.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

Measure = Callable[[np.ndarray, np.ndarray], float]


def pearson(truth: np.ndarray, output: np.ndarray) -> float:
    """Return Pearson's correlation; 0 where one side is constant, instead of NaN."""
    if np.ptp(truth) == 0 or np.ptp(output) == 0:
        return 0.0
    return float(np.corrcoef(truth, output)[0, 1])


def spearman(truth: np.ndarray, output: np.ndarray) -> float:
    """Return Spearman's rank correlation; 0 where one side is constant, instead of NaN."""
    from scipy.stats import rankdata

    return pearson(rankdata(truth), rankdata(output))


def mean_of(*measures: Measure) -> Measure:
    """Return the mean of several measures."""
    return lambda truth, output: float(np.mean([measure(truth, output) for measure in measures]))


def accuracy(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the share of equal classes."""
    return float(np.mean(truth == output))


def f1(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the F1 of class 1 against class 0; 0 where neither side has it."""
    return shared_share((truth == 1)[:, None], (output == 1)[:, None])


def macro_f1(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the mean F1 over the classes that either side has."""
    there, output_there = class_counts(truth, output)
    both = np.bincount(truth.astype(int)[truth == output], minlength=len(there))
    rows = there + output_there
    return float(np.mean(2 * both[rows > 0] / rows[rows > 0]))


def matthews(truth: np.ndarray, output: np.ndarray) -> float:
    """Return Matthews' correlation coefficient, of several classes as in Gorodkin 2004; 0 where a side is constant."""
    there, output_there = (counts.astype(float) for counts in class_counts(truth, output))
    rows = len(truth)
    right = float((truth == output).sum()) * rows - there @ output_there
    spread = (rows**2 - there @ there) * (rows**2 - output_there @ output_there)
    return float(right / np.sqrt(spread)) if spread else 0.0


def class_counts(truth: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each class is on either side."""
    classes = int(max(truth.max(), output.max())) + 1
    return np.bincount(truth.astype(int), minlength=classes), np.bincount(output.astype(int), minlength=classes)


def shared_share(truth: np.ndarray, output: np.ndarray, by_class: bool = False) -> float:
    """Return the F1 over all classes (n, C), each 0 or 1, or ``by_class`` its mean; 0 of what is nowhere."""
    axis = 0 if by_class else None
    both, rows = np.sum(truth * output, axis), np.sum(truth, axis) + np.sum(output, axis)
    return float(np.mean(np.divide(2.0 * both, rows, out=np.zeros(np.shape(rows)), where=rows > 0)))


def about(measure: Measure, positive: int) -> Measure:
    """Return a measure of two classes in which ``positive`` counts as class 1."""
    return lambda truth, output: measure((truth == positive).astype(int), (output == positive).astype(int))


def bootstrap_interval(
    measure: Measure, truth: np.ndarray, output: np.ndarray, level: float = 0.95, resamples: int = 1000
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a score over rows (Efron and Tibshirani 1993, chapter 13)."""
    return percentiles(lambda chosen: measure(truth[chosen], output[chosen]), len(truth), level, resamples)


def paired_interval(
    measure: Measure,
    truth: np.ndarray,
    output: np.ndarray,
    other: np.ndarray,
    level: float = 0.95,
    resamples: int = 1000,
) -> tuple[float, float]:
    """Return the interval of the difference of two scores, ``output``'s less ``other``'s, on the same drawn rows."""

    def difference(chosen: np.ndarray) -> float:
        return measure(truth[chosen], output[chosen]) - measure(truth[chosen], other[chosen])

    return percentiles(difference, len(truth), level, resamples)


def percentiles(
    statistic: Callable[[np.ndarray], float], rows: int, level: float, resamples: int
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a statistic of drawn row numbers."""
    rng = np.random.default_rng(0)
    # One at a time: all of them at once take 8 GB for a million rows.
    values = [statistic(rng.integers(0, rows, rows)) for _ in range(resamples)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """How one score differs from another on the same rows.

    Attributes:
        value: the score less the other's.
        low, high: its paired interval.
    """

    value: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """Points (hundredths of a score) by which it is at most worse, rounded up to tenths: a claim holds, or is none.

        The model is not inferior at any margin from here on (Piaggio et al. 2012), at half the interval's error.
        """
        return math.ceil(max(0.0, -self.low) * 1000 - 1e-9) / 10

    def verdict(self, other: str) -> str:
        """Return what the interval says: better, worse, or not worse by more than a margin."""
        if self.low > 0:
            return f"better than {other}, by {100 * self.low:.1f} to {100 * self.high:.1f} points"
        if self.high < 0:
            return f"worse than {other}, by {-100 * self.high:.1f} to {-100 * self.low:.1f} points"
        return f"not worse than {other} by more than {self.margin:.1f} points"


def paired_differences(
    measure: Measure,
    truth: np.ndarray,
    outputs: Mapping[str, np.ndarray],
    level: float = 0.95,
    resamples: int = 1000,
) -> dict[tuple[str, str], Difference]:
    """Return the difference of every pair of outputs, the later's score less the earlier's, by (later, earlier).

    The rows of a resample are drawn once for all outputs, as those of `paired_interval`. A resample keeps one number an
    output, so that a million rows take no more memory than their own.
    """
    rng = np.random.default_rng(0)
    drawn = np.empty((resamples, len(outputs)))
    for resample in drawn:
        chosen = rng.integers(0, len(truth), len(truth))
        resample[:] = [measure(truth[chosen], output[chosen]) for output in outputs.values()]
    whole = [measure(truth, output) for output in outputs.values()]
    names, ends = list(outputs), [(1 - level) / 2, (1 + level) / 2]
    found = {}
    for i, j in combinations(range(len(names)), 2):
        low, high = np.quantile(drawn[:, j] - drawn[:, i], ends)
        found[names[j], names[i]] = Difference(whole[j] - whole[i], float(low), float(high))
    return found


def class_scores(truth: np.ndarray, output: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return ``label``, ``precision``, ``recall``, ``f1`` and ``rows`` (that have it) of each class.

    Args:
        truth, output: classes (n,), or 0 and 1 for each class (n, C).
        names: of the classes.
    """
    from sklearn.metrics import precision_recall_fscore_support

    parts = precision_recall_fscore_support(truth, output, labels=list(range(len(names))), zero_division=0)
    return [
        {"label": name, "precision": float(precision), "recall": float(recall), "f1": float(f1), "rows": int(rows)}
        for name, precision, recall, f1, rows in zip(names, *parts, strict=True)
    ]


def confusion(truth: np.ndarray, output: np.ndarray, classes: int) -> list[list[int]]:
    """Return how many rows of each class (a row) get each answer (a column)."""
    from sklearn.metrics import confusion_matrix

    counts: list[list[int]] = confusion_matrix(truth, output, labels=list(range(classes))).tolist()
    return counts
