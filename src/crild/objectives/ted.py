"""TED: hidden states through filters that know the task (`method.md` 5)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from crild.features import Features, LayerFeatures, full_precision
from crild.objectives.base import Between, PairObjective, Side, Term


class TaskAwareFilters(PairObjective):
    """Task-aware filters: the squared difference of filtered hidden states, mean over width, real tokens and pairs.

    Each mapped layer of either model has a linear filter to the teacher's width, trained beforehand on the labels
    with a throw-away head on the first token, both backbones frozen: a stage of its own, before ILD. In ILD the
    teacher's filters stay and the student's go on learning. Filters are learned apart, so an identical student does
    not read 0.

    Source: Liang et al. 2023 (TED), sections 3.1 (filters) and 3.2 (task-aware layer-wise distillation).
    """

    needs = ("hidden",)
    terms = ("filtered",)
    maps = ("fixed",)
    default_map = "uniform"
    needs_filters = True

    def __init__(self, between: Between) -> None:
        super().__init__(between)
        ours, theirs, pairs = between.student, between.teacher, between.layer_map.pairs
        self.filters, self.heads = nn.ModuleDict(), nn.ModuleDict()
        layers = {("student", s, ours.width) for s, _ in pairs} | {("teacher", t, theirs.width) for _, t in pairs}
        for side, layer, width in sorted(layers):
            self.filters[f"{side}_{layer}"] = nn.Linear(width, theirs.width)
            self.heads[f"{side}_{layer}"] = nn.Linear(theirs.width, theirs.outputs)

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> Tensor:
        """Return filtered states (B, L, d)."""
        hidden = full_precision(features.hidden)
        if side == "teacher":
            with torch.no_grad():
                return self.filters[f"teacher_{layer}"](hidden)
        return self.filters[f"student_{layer}"](hidden)

    def compare(self, student: Tensor, target: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the squared difference of each token (B, L)."""
        return {"filtered": (student - target).square().mean(-1)}

    def filter_terms(
        self, student: Features, teacher: Features, labels: Tensor, loss: Callable[[Tensor, Tensor], Term]
    ) -> dict[str, Term]:
        """Return the task's ``loss`` of the filters' own heads on labelled examples, mean over layers, a model each."""
        out: dict[str, Term] = {}
        for side, features in (("student", student), ("teacher", teacher)):
            losses = []
            for layer, captured in features.layers.items():
                if f"{side}_{layer}" not in self.filters:  # captured for another objective
                    continue
                cls = self.filters[f"{side}_{layer}"](full_precision(captured.hidden)[:, 0])
                total, count = loss(self.heads[f"{side}_{layer}"](cls), labels)
                losses.append(total)
            out[f"filter_{side}"] = (torch.stack(losses).mean(), count)
        return out
