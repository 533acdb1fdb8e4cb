"""The contract of an objective over captured features."""

from torch import Tensor, nn

from crild.features import Features
from crild.layers import Pairs

Term = tuple[Tensor, Tensor]
"""A term as (sum, count): add sums and counts over micro-batches and processes, then divide once."""


class Objective(nn.Module):
    """A distance between a student's features and a target's, over pairs of layers.

    Attributes:
        needs: the tensors to capture, of ``hidden, query, key, value``.
        terms: the names of the terms that it returns.

    A subclass returns ``{term: (sum, count)}`` from `forward`; padding never changes a term, and a student that
    equals its target reads 0. Trainable state (width maps) lives here, is in checkpoints, and never in the student.
    """

    needs: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return each term over ``pairs`` of (student layer, target layer), under the target's mask."""
        raise NotImplementedError

    def counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return each term's count from the target's mask (B, L) alone: here, the number of real tokens.

        The trainer asks for it before the forward pass, to divide by the count of *all* micro-batches.
        """
        return {term: mask.sum() for term in self.terms}

    def check(self, student_config: object, teacher_config: object) -> None:
        """Raise `CrildError` where the two models' shapes make no sense for this objective."""


def weighted_mean(terms: dict[str, Term], weights: dict[str, float]) -> Tensor:
    """Return ``sum_k weights[k] * sum_k / count_k``; a term with count 0 contributes 0."""
    return sum(  # type: ignore[return-value]
        weights[name] * total / count.clamp(min=1) for name, (total, count) in terms.items()
    )
