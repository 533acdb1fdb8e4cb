"""How far a confidence can be believed: a temperature that corrects it, and the calibration error; numpy and scipy."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

MOST = 10.0  # and 1/10 at least: where every row is right, any sharper temperature would fit still better


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature T at which ``logits / T`` give labels the largest likelihood; between 0.1 and 10.

    Args:
        logits: (n, C).
        labels: classes (n,), whose probabilities are a softmax; or 0 and 1 for each class (n, C), each a sigmoid.

    Source: Guo et al. 2017, *On Calibration of Modern Neural Networks*, section 4.2. The loss is convex in 1/T.
    """

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(logits / np.exp(log_temperature), labels)

    bound = np.log(MOST)
    return float(np.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over rows (and classes, where each has a label of its own) of -log p(label)."""
    if labels.ndim == 2:
        return float(-log_expit(np.where(labels > 0, logits, -logits)).mean())
    return float(-log_softmax(logits, axis=-1)[np.arange(len(labels)), labels.astype(int)].mean())


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> tuple[np.ndarray, ...]:
    """Return mean confidence, accuracy and rows of each bin of `expected_calibration_error` that has rows."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = np.bincount(place, minlength=bins)
    there = rows > 0
    means = (np.bincount(place, values, minlength=bins)[there] / rows[there] for values in (confidence, correct))
    return (*means, rows[there])


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Return the mean distance of confidence and accuracy, over bins of equal width weighted by their rows.

    Args:
        confidence: (n,), each from 0 to 1.
        correct: (n,), whether that answer was right.

    Source: Naeini et al. 2015; Guo et al. 2017, equation 3.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, correct - confidence, minlength=bins)  # of a bin: rows times distance
    return float(np.abs(gaps).sum() / len(confidence))
