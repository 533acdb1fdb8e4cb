"""The contract of a task type: all that differs between classification, regression and the like."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from crild.errors import CrildError, nearest
from crild.metrics import Measure
from crild.tasks.labels import Labels

if TYPE_CHECKING:
    from torch import Tensor  # only losses need torch, and `crild check` reads labels without it

Term: TypeAlias = "tuple[Tensor, Tensor]"
"""A term as (sum, count): add sums and counts over micro-batches and processes, then divide once."""

LEAST = 1e-15  # probability that a logit is made of


def known(labels: "Tensor") -> "Tensor":
    """Return which examples of a batch have a label (B,), of labels (B,) or (B, C) that are NaN where there is none."""
    return ~labels.flatten(1).isnan().any(1) if labels.ndim > 1 else ~labels.isnan()


class TaskType:
    """How labels are read, what head a model has, what is minimised, what logits answer, and how answers are scored.

    One instance stands for each type, see `crild.tasks.TASK_TYPES`. A label is whatever `read` makes of it: a
    number, or a list of numbers; ``None`` where a row has none. In a batch it is a tensor (B,) or (B, C), with NaN
    where there is none.

    Attributes:
        name: what ``--task`` says.
        metrics: by name; each a function of (truth, answers).
        default_metric: of a task that names none.
        agreement: the metric that tells how far two models agree.
        named: whether its classes have names.
        problem_type: what ``transformers`` calls it in a model's configuration.
    """

    name: str
    metrics: Mapping[str, Measure]
    default_metric: str
    agreement: str
    named = True
    problem_type: str

    # ---- labels ----

    def suits(self, raw: Sequence[Any]) -> bool:
        """Return whether these raw labels (none of them missing) are of this type, where nobody says."""
        raise NotImplementedError

    def read(self, raw: Sequence[Any], where: str, names: Sequence[str] | None = None, coded: bool = False) -> Labels:
        """Understand a raw label column.

        Args:
            raw: its values.
            where: for error messages: file and column.
            names: the classes' names in order, where the source knows them.
            coded: ``raw`` holds indices into ``names``.

        Raises:
            CrildError: a value fits not.
        """
        raise NotImplementedError

    def aligned(self, label: Any, index: Sequence[int], classes: int) -> Any:
        """Return a label with class i of the data as class ``index[i]`` of the teacher's ``classes``."""
        return label

    def refuse_untrainable(self, labels: Sequence[Any], names: Sequence[str], where: str) -> None:
        """Raise `CrildError` where nothing can be learned from these labels."""

    def counts(self, labels: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
        """Return the number of labels of each class; none where there are no classes."""
        return {}

    def another(self, labels: Sequence[Any], place: int, draw: float, classes: int) -> Any:
        """Return a wrong label in place of ``labels[place]``, by a draw from [0, 1): here, another row's."""
        if len(labels) < 2:
            return labels[place]
        return labels[(place + 1 + int(draw * (len(labels) - 1))) % len(labels)]

    # ---- models ----

    def outputs(self, names: Sequence[str]) -> int:
        """Return the number of outputs of a head."""
        return len(names)

    def head(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the configuration of a head for these classes."""
        listed = list(names) or [f"LABEL_{i}" for i in range(self.outputs(names))]
        return {
            "num_labels": self.outputs(names),
            "id2label": dict(enumerate(listed)),
            "label2id": {name: i for i, name in enumerate(listed)},
            "problem_type": self.problem_type,
        }

    # ---- losses, sums over examples ----

    def loss(self, logits: "Tensor", labels: "Tensor") -> Term:
        """Return the task's own loss over the labelled examples.

        Args:
            logits: (B, C).
            labels: (B,) or (B, C); NaN where an example has none.
        """
        raise NotImplementedError

    def mixed_loss(self, logits: "Tensor", labels: "Tensor", lam: float, partners: "Tensor") -> Term:
        """Return the loss of interpolated inputs: ``lam`` against a row's own label, the rest against its partner's.

        That is the cross-entropy against interpolated labels; in regression it differs from the squared error against
        the interpolated number by a constant.

        Args:
            logits: (B, C), of ``lam * row_i + (1 - lam) * row_partners[i]``.
            labels: as in `loss`; a row without one learns from the other share alone.
            lam, partners: the interpolation.

        Source: Liang et al. 2021 (MixKD), section 3.1, the data-augmented task loss.
        """
        to_own, count = self.loss(logits, labels)
        to_partner, _ = self.loss(logits, labels[partners])
        return lam * to_own + (1 - lam) * to_partner, count

    def distillation(self, student: "Tensor", teacher: "Tensor", temperature: float) -> Term:
        """Return the divergence of the student's logits (B, C) from the teacher's (`method.md` 3, stage 2)."""
        raise NotImplementedError

    # ---- answers and scores ----

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """Return what logits (n, C) answer: (n,) or (n, C)."""
        raise NotImplementedError

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Return the probability of each class (n, C); ``None`` where an answer is a number."""
        return None

    def logits(self, probabilities: np.ndarray) -> np.ndarray:
        """Return logits (n, C) that have these probabilities (n, C)."""
        raise NotImplementedError

    def confidence(self, logits: np.ndarray) -> np.ndarray | None:
        """Return how sure an answer is (n,), from 0 to 1; ``None`` where an answer is a number: it is never sure."""
        return None

    def spelled(self, answers: Iterable[Any], names: Sequence[str]) -> list[Any]:
        """Return answers or labels as a person reads them; ``None`` stays."""
        return [None if answer is None else float(answer) for answer in answers]

    def coded(self, answers: Iterable[Any], names: Sequence[str]) -> np.ndarray:
        """Return answers or labels (n,) or (n, C) of what a person reads: the inverse of `spelled`, none missing."""
        return np.array(list(answers), dtype=float)

    def apart(self, answers: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return how far apart two models' answers to each row are (n,): 0 where they are the same."""
        return (answers != others).reshape(len(answers), -1).mean(1)

    def by_class(self, truth: np.ndarray, answers: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
        """Return what is known of each class (``classes``, ``confusion``); nothing where there are none."""
        return {}

    def constant(self, truth: np.ndarray) -> np.ndarray:
        """Return the answers of whoever always says the same, in the shape of ``truth``."""
        raise NotImplementedError

    def find_metric(self, name: str, classes: int, positive: int = 1) -> Measure:
        """Return a metric by name.

        Raises:
            CrildError: there is no such metric for this type of task.
        """
        if name not in self.metrics:
            known = ", ".join(self.metrics)
            raise CrildError(f"no metric {name!r} for {self.name}{nearest(name, self.metrics)}: use one of {known}")
        return self.metrics[name]

    def all_scores(self, truth: np.ndarray, logits: np.ndarray, positive: int = 1) -> dict[str, float]:
        """Return every metric that applies."""
        answers = self.answers(logits)
        found = {}
        for name in self.metrics:
            try:
                found[name] = self.find_metric(name, logits.shape[1], positive)(truth, answers)
            except CrildError:  # not of so many classes
                continue
        return found
