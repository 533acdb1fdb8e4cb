"""Classification: one of several classes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from crild.errors import CrildError
from crild.metrics import Measure, about, accuracy, class_scores, confusion, f1, macro_f1, matthews, mean_of
from crild.tasks.base import LEAST, TaskType, Term
from crild.tasks.labels import MOST_CODED_CLASSES, Labels, as_number, class_name, is_missing, refuse_lists

if TYPE_CHECKING:
    from torch import Tensor

TWO_CLASSES = ("f1", "accuracy_f1")


class Classification(TaskType):
    """A label is a class index; a head has a logit a class; cross-entropy, and KL divergence between softmaxes."""

    name = "classification"
    problem_type = "single_label_classification"
    default_metric = "accuracy"
    agreement = "accuracy"
    metrics = {  # noqa: RUF012 (never changed in place)
        "accuracy": accuracy,
        "f1": f1,
        "accuracy_f1": mean_of(accuracy, f1),
        "macro_f1": macro_f1,
        "matthews": matthews,
    }

    def suits(self, raw: Sequence[Any]) -> bool:
        """All that is nothing else is a class."""
        return True

    def read(self, raw: Sequence[Any], where: str, names: Sequence[str] | None = None, coded: bool = False) -> Labels:
        """Return class indices: in the order of ``names``, else of the numbers or of the alphabet."""
        refuse_lists(raw, where, self.name)
        present = [value for value in raw if not is_missing(value)]
        numbers = [as_number(value) for value in present]
        numeric = bool(present) and all(n is not None for n in numbers)
        if names is not None and coded:
            table = {str(i): i for i in range(len(names))}
            order = list(names)
            found = [
                str(int(n)) if n is not None and n == int(n) else str(v) for v, n in zip(present, numbers, strict=True)
            ]
        else:
            found = [class_name(v, n, numeric) for v, n in zip(present, numbers, strict=True)]
            distinct = set(found)
            order = list(names) if names is not None else sorted(distinct, key=float if numeric else None)
            if len(order) > max(MOST_CODED_CLASSES, len(found) // 2):
                raise CrildError(
                    f"{where}: {len(order)} different labels in {len(found)} rows; is it the label column?"
                )
            table = {name: i for i, name in enumerate(order)}
        if unknown := next((name for name in found if name not in table), None):
            raise CrildError(f"{where}: unknown label {unknown!r}; known are {', '.join(table)}")
        filled = iter(found)
        values = [None if is_missing(v) else float(table[next(filled)]) for v in raw]
        return Labels(values, order, generic=coded or (numeric and names is None))

    def aligned(self, label: Any, index: Sequence[int], classes: int) -> Any:
        """Return the teacher's class."""
        return float(index[int(label)])

    def refuse_untrainable(self, labels: Sequence[Any], names: Sequence[str], where: str) -> None:
        """Refuse a single class."""
        present = {label for label in labels if label is not None}
        if len(present) == 1:
            only = names[int(next(iter(present)))]
            raise CrildError(f"{where}: every training row has the label {only!r}; at least two classes are needed")

    def counts(self, labels: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
        """Return the rows of each class."""
        counted = Counter(int(label) for label in labels if label is not None)
        return {name: counted[i] for i, name in enumerate(names)}

    def another(self, labels: Sequence[Any], place: int, draw: float, classes: int) -> Any:
        """Return one of the other classes, each as likely."""
        return float((labels[place] + 1 + int(draw * (classes - 1))) % classes)

    def loss(self, logits: "Tensor", labels: "Tensor") -> Term:
        """Return cross-entropy."""
        from torch.nn import functional as F

        labelled = ~labels.isnan()
        losses = F.cross_entropy(logits, labels.nan_to_num().long(), reduction="none")
        return (losses * labelled).sum(), labelled.sum()

    def distillation(self, student: "Tensor", teacher: "Tensor", temperature: float) -> Term:
        """Return ``T^2 * KL(softmax(teacher / T) || softmax(student / T))``.

        Source: Hinton et al. 2015, section 2.
        """
        import torch
        from torch.nn import functional as F

        log_student = F.log_softmax(student / temperature, dim=-1)
        log_teacher = F.log_softmax(teacher / temperature, dim=-1)
        total = F.kl_div(log_student, log_teacher, reduction="sum", log_target=True)
        return total * temperature**2, torch.tensor(len(student), device=student.device)

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Return the likeliest class."""
        return logits.argmax(-1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return softmax probabilities."""
        return softmax(logits.astype(np.float64), axis=-1)

    def logits(self, probabilities: np.ndarray) -> np.ndarray:
        """Return log-probabilities."""
        return np.log(np.maximum(probabilities, LEAST))

    def confidence(self, logits: np.ndarray) -> np.ndarray:
        """Return the probability of the likeliest class."""
        return self.probabilities(logits).max(-1)

    def spelled(self, answers: Iterable[Any], names: Sequence[str]) -> list[Any]:
        """Return class names."""
        return [None if answer is None else names[int(answer)] for answer in answers]

    def coded(self, answers: Iterable[Any], names: Sequence[str]) -> np.ndarray:
        """Return class indices."""
        place = {name: i for i, name in enumerate(names)}
        return np.array([place[answer] for answer in answers], dtype=int)

    def by_class(self, truth: np.ndarray, answers: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores of each class, and the confusion matrix."""
        return {"classes": class_scores(truth, answers, names), "confusion": confusion(truth, answers, len(names))}

    def constant(self, truth: np.ndarray) -> np.ndarray:
        """Return the most frequent class."""
        classes, counts = np.unique(truth, return_counts=True)
        return np.full(len(truth), classes[counts.argmax()])

    def find_metric(self, name: str, classes: int, positive: int = 1) -> Measure:
        """Return a metric; F1 is about the class ``positive`` of two."""
        measure = super().find_metric(name, classes, positive)
        if name not in TWO_CLASSES:
            return measure
        if classes != 2:
            raise CrildError(f"metric {name!r} needs two classes, the task has {classes}: use macro_f1")
        return about(measure, positive)


TASK_TYPE = Classification()
