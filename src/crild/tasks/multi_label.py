"""Multi-label classification: any number of several classes."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit

from crild.errors import CrildError
from crild.metrics import class_scores, shared_share
from crild.tasks.base import LEAST, TaskType, Term
from crild.tasks.labels import Labels, is_missing

if TYPE_CHECKING:
    from torch import Tensor

HALF = 0.0  # the logit of probability 1/2


def micro_f1(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the F1 over all labels of all rows."""
    return shared_share(truth, output)


def macro_f1(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the mean F1 over classes."""
    return shared_share(truth, output, by_class=True)


def subset_accuracy(truth: np.ndarray, output: np.ndarray) -> float:
    """Return the share of rows with exactly the right labels."""
    return float((truth == output).all(-1).mean())


class MultiLabel(TaskType):
    """A label is a list of 0 and 1, one a class; a head has a logit a class; binary cross-entropy a class.

    Data says it by a list of names a row, or by a column of 0 and 1 for each class.
    """

    name = "multi-label"
    problem_type = "multi_label_classification"
    default_metric = "micro_f1"
    agreement = "subset_accuracy"
    metrics = {  # noqa: RUF012 (never changed in place)
        "micro_f1": micro_f1,
        "macro_f1": macro_f1,
        "subset_accuracy": subset_accuracy,
    }

    def suits(self, raw: Sequence[Any]) -> bool:
        """Lists are sets of labels."""
        return bool(raw) and all(isinstance(value, list) for value in raw)

    def read(self, raw: Sequence[Any], where: str, names: Sequence[str] | None = None, coded: bool = False) -> Labels:
        """Return a list of 0 and 1 a row, classes in the order of the alphabet; text may be a JSON list or ``a|b``."""
        rows = [None if is_missing(value) else listed(value) for value in raw]
        order = list(names) if names is not None else sorted({name for row in rows for name in row or []})
        place = {name: i for i, name in enumerate(order)}
        if unknown := next((name for row in rows for name in row or [] if name not in place), None):
            raise CrildError(f"{where}: unknown label {unknown!r}; known are {', '.join(order)}")
        if any(row is not None for row in rows) and len(order) < 2:
            raise CrildError(f"{where}: a multi-label task needs at least two different labels, there are {len(order)}")
        return Labels([None if row is None else [float(name in row) for name in order] for row in rows], order)

    def aligned(self, label: Any, index: Sequence[int], classes: int) -> Any:
        """Return the teacher's classes; those that the data does not know do not apply."""
        out = [0.0] * classes
        for value, place in zip(label, index, strict=True):
            out[place] = value
        return out

    def counts(self, labels: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
        """Return the rows that each label applies to."""
        known = [label for label in labels if label is not None]
        return {name: int(sum(label[i] for label in known)) for i, name in enumerate(names)}

    def loss(self, logits: "Tensor", labels: "Tensor") -> Term:
        """Return binary cross-entropy, mean over classes."""
        from torch.nn import functional as F

        if labels.ndim == 1:  # no row of the batch has a label
            labels = labels[:, None].expand_as(logits)
        labelled = ~labels.isnan().any(-1)
        losses = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(), reduction="none").mean(-1)
        return (losses * labelled).sum(), labelled.sum()

    def distillation(self, student: "Tensor", teacher: "Tensor", temperature: float) -> Term:
        """Return ``T^2 * KL`` between the two Bernoulli distributions of each class, mean over classes."""
        import torch
        from torch.nn import functional as F

        ours, theirs = student / temperature, teacher / temperature
        p = theirs.sigmoid()
        cross = F.binary_cross_entropy_with_logits(ours, p, reduction="none")
        entropy = F.binary_cross_entropy_with_logits(theirs, p, reduction="none")
        total = (cross - entropy).mean(-1).sum()
        return total * temperature**2, torch.tensor(len(student), device=student.device)

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Return 1 for each class that is likelier than not."""
        return (logits > HALF).astype(float)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return the probability of each class."""
        return expit(logits.astype(np.float64))

    def logits(self, probabilities: np.ndarray) -> np.ndarray:
        """Return log-odds."""
        return logit(np.clip(probabilities, LEAST, 1 - LEAST))

    def confidence(self, logits: np.ndarray) -> np.ndarray:
        """Return the probability of the answer to the class that is least sure."""
        return expit(np.abs(logits.astype(np.float64))).min(-1)

    def spelled(self, answers: Iterable[Any], names: Sequence[str]) -> list[Any]:
        """Return the names of the classes that apply."""
        return [
            None if answer is None else [name for name, value in zip(names, answer, strict=True) if value]
            for answer in answers
        ]

    def coded(self, answers: Iterable[Any], names: Sequence[str]) -> np.ndarray:
        """Return 0 and 1 for each class."""
        return np.array([[float(name in answer) for name in names] for answer in answers])

    def by_class(self, truth: np.ndarray, answers: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores of each class."""
        return {"classes": class_scores(truth, answers, names)}

    def constant(self, truth: np.ndarray) -> np.ndarray:
        """Return the classes that apply to at least half of the rows, or else the most frequent one."""
        shares = truth.mean(0)
        answer = (shares >= 0.5).astype(float)
        if not answer.any():
            answer[shares.argmax()] = 1.0
        return np.tile(answer, (len(truth), 1))


def listed(value: Any) -> list[str]:
    """Return the names in a raw label: a list, the text of a JSON list, or names joined by ``|``."""
    if isinstance(value, list):
        return [str(name).strip() for name in value]
    text = str(value).strip()
    if text.startswith("["):
        try:
            return [str(name).strip() for name in json.loads(text)]
        except json.JSONDecodeError:
            pass
    return [name.strip() for name in text.split("|") if name.strip()]


TASK_TYPE = MultiLabel()
