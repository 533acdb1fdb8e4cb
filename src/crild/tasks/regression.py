"""Regression: a number."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crild.errors import CrildError
from crild.metrics import mean_of, pearson, spearman
from crild.tasks.base import TaskType, Term
from crild.tasks.labels import MOST_CODED_CLASSES, Labels, as_number, is_missing, refuse_lists

if TYPE_CHECKING:
    from torch import Tensor


class Regression(TaskType):
    """A label is a number; a head has one output; squared errors."""

    name = "regression"
    problem_type = "regression"
    named = False
    default_metric = "pearson_spearman"
    agreement = "pearson"
    metrics = {  # noqa: RUF012 (never changed in place)
        "pearson": pearson,
        "spearman": spearman,
        "pearson_spearman": mean_of(pearson, spearman),
    }

    def suits(self, raw: Sequence[Any]) -> bool:
        """Numbers that are not whole, or more different ones than anyone has classes, are a quantity."""
        numbers = {as_number(value) for value in raw}
        if not raw or None in numbers:
            return False
        return len(numbers) > MOST_CODED_CLASSES or any(n != int(n) for n in numbers if n is not None)

    def read(self, raw: Sequence[Any], where: str, names: Sequence[str] | None = None, coded: bool = False) -> Labels:
        """Return numbers."""
        refuse_lists(raw, where, self.name)
        values = [None if is_missing(value) else as_number(value) for value in raw]
        for value, number in zip(raw, values, strict=True):
            if number is None and not is_missing(value):
                raise CrildError(f"{where}: label {str(value)!r} is not a number, as regression needs")
        return Labels(values)

    def outputs(self, names: Sequence[str]) -> int:
        """Return 1."""
        return 1

    def loss(self, logits: "Tensor", labels: "Tensor") -> Term:
        """Return the squared error."""
        labelled = ~labels.isnan()
        losses = (logits.squeeze(-1) - labels.nan_to_num()).square()
        return (losses * labelled).sum(), labelled.sum()

    def distillation(self, student: "Tensor", teacher: "Tensor", temperature: float) -> Term:
        """Return the squared difference; a temperature means nothing to it."""
        import torch

        return (student - teacher).square().sum(), torch.tensor(len(student), device=student.device)

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Return the output."""
        return logits[:, 0]

    def apart(self, answers: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the differences of the numbers."""
        return np.abs(answers - others)

    def constant(self, truth: np.ndarray) -> np.ndarray:
        """Return the mean."""
        return np.full(len(truth), truth.mean() if len(truth) else 0.0)


TASK_TYPE = Regression()
