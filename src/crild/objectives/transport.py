"""BERT-EMD: every layer from every layer, weighted by the optimal transport plan (`method.md` 5)."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from crild.features import Features
from crild.layers import Pairs
from crild.objectives.base import Objective, PairObjective, Term
from crild.processes import total


class Transport(Objective):
    """Earth mover's distance: the terms of an objective between all layers, weighted by the optimal transport plan.

    For each term: ``d_ij`` is its mean between student layer i and teacher layer j, ``F`` the plan of least cost
    ``sum_ij F_ij d_ij`` that moves the teacher layers' masses to the student's, and the loss is that cost (``F`` is a
    constant in it). Masses are uniform at first. After each forward pass in training, *cost attention*:
    ``c_i = sum_j F_ij d_ij / w_i`` and the new ``w_i`` proportional to ``1 / c_i``, likewise the teacher's; a layer
    whose cost is 0 keeps its mass. Masses are state: buffers, in checkpoints. Held-out losses are always taken with
    uniform masses, so that they can be compared. The plan is the (micro-)batch's own, over all processes.

    Source: Li et al. 2020 (BERT-EMD), sections 3.2 and 3.3.
    """

    student_mass: Tensor
    teacher_mass: Tensor

    def __init__(self, part: PairObjective) -> None:
        super().__init__(part.between)
        self.part = part
        self.needs, self.terms, self.weights = part.needs, part.terms, part.weights
        self.mixable = part.mixable
        for side, layers in (("student", self.between.student.layers), ("teacher", self.between.teacher.layers)):
            uniform = torch.full((len(self.terms), layers), 1.0 / layers, dtype=torch.float64)
            self.register_buffer(f"{side}_mass", uniform)

    def forward(self, student: Features, target: Features, pairs: Pairs) -> dict[str, Term]:
        """Return the part's terms, each the cost of its own plan."""
        shape = self.student_mass.shape[1], self.teacher_mass.shape[1]
        counts = self.counts(target.mask)
        out: dict[str, Term] = {}
        for number, (term, sums) in enumerate(self.part.sums(student, target, pairs).items()):
            sums = sums.view(shape)
            summed, count = sums.detach(), counts[term]
            if self.training:  # else every process sees other rows of its own
                summed, count = total(summed), total(count)
            costs = (summed / count.clamp(min=1)).double().cpu().numpy()
            ours, theirs = (m[number].cpu().numpy() for m in (self.student_mass, self.teacher_mass))
            if not self.training:
                ours, theirs = (np.full(n, 1.0 / n) for n in shape)
            plan = optimal_plan(ours, theirs, costs)
            out[term] = ((torch.from_numpy(plan).to(sums) * sums).sum(), counts[term])
            if self.training:
                self.student_mass[number] = torch.from_numpy(new_masses(ours, (plan * costs).sum(1)))
                self.teacher_mass[number] = torch.from_numpy(new_masses(theirs, (plan * costs).sum(0)))
        return out

    def consistency(self, student: Features, target: Features, layers: Iterable[int]) -> dict[str, Term]:
        """Return the part's terms layer by layer: a student's layers need no plan to find themselves."""
        return self.part.consistency(student, target, layers)

    def counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the part's counts."""
        return self.part.counts(mask)


def optimal_plan(student: np.ndarray, teacher: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return the transport plan of least cost (M, N) with marginals ``student`` (M,) and ``teacher`` (N,)."""
    import ot  # takes a second to load, which only BERT-EMD has to wait for

    return ot.emd(student / student.sum(), teacher / teacher.sum(), np.ascontiguousarray(costs))


def new_masses(masses: np.ndarray, paid: np.ndarray) -> np.ndarray:
    """Return masses proportional to ``1 / c`` for ``c = paid / masses``; a layer that paid nothing keeps its mass.

    Args:
        masses: (n,), summing to 1.
        paid: (n,), what moving each layer's mass cost.
    """
    paying = (paid > 0) & (masses > 0)
    new = masses.copy()
    if paying.any():
        inverse = masses[paying] / paid[paying]
        new[paying] = inverse / inverse.sum() * masses[paying].sum()
    return new / new.sum()
