"""One training step: two models, captured features, an objective, one number.

`Distiller` is the module that the trainer sees: student, objective (with its learned maps and other state) and moving
average are its parts, so that optimiser, checkpoints and several processes see every trainable tensor. The teacher is
not a part of it: it is frozen and never saved.
"""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from crild.methods.recipe import Recipe
from crild.objectives import Composition, Term, weighted_mean
from crild.tasks.registry import task_type_of
from crild.training.terms import TERMS, Models, Step


class Distiller(nn.Module):
    """Student and objective of one stage, as one module.

    Args:
        student: the model to train.
        recipe: what to minimise.
        teacher: frozen model; not needed where the batches carry its logits on plain inputs, and these are all that
            is matched.
        objective: the intermediate terms; needed if ``recipe.uses_objective``.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        recipe: Recipe,
        teacher: PreTrainedModel | None = None,
        objective: Composition | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.recipe = recipe
        self.task_type = task_type_of(student.config)
        self.objective = objective
        self.ema = None
        if recipe.ema_decay is not None and recipe.consistency:
            self.ema = deepcopy(student).requires_grad_(False)
        # In a list, so that it is no submodule: neither optimised, nor saved, nor switched to training mode.
        self._teacher = [teacher.eval().requires_grad_(False)] if teacher is not None else []

    @property
    def teacher(self) -> PreTrainedModel:
        """The frozen teacher."""
        return self._teacher[0]

    # What the trainer and its callbacks ask a model for.

    @property
    def config(self) -> PreTrainedConfig:
        """The student's."""
        return self.student.config

    @property
    def _no_split_modules(self) -> Any:
        return self.student._no_split_modules

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Let the student compute its activations again in the backward pass, see `PreTrainedModel`."""
        self.student.activation_checkpointing_enable(**options)

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """Do the same under the name that transformers before 5.23 asks for."""
        self.student.gradient_checkpointing_enable(**options)

    def move_teacher(self, device: torch.device) -> None:
        """Put the teacher on ``device`` (the trainer moves only the module's own parts)."""
        for teacher in self._teacher:
            teacher.to(device)

    def step(self, batch: dict[str, Tensor], lam: float | None) -> Step:
        """Return a batch with the passes that its terms may ask for."""
        teacher = self._teacher[0] if self._teacher else None
        clean = self.student if self.ema is None else self.ema
        models = Models(self.student, clean, teacher, self.objective, self.task_type)
        return Step(self.recipe, models, batch, lam)

    def counts(self, batch: dict[str, Tensor], lam: float | None) -> dict[str, Tensor]:
        """Return each term's count in ``batch``, without running a model."""
        step = self.step(batch, lam)
        counts = {name: count for term in TERMS if term.acts(step) for name, count in term.count(step).items()}
        return counts if step.counts else {name: 0 * count for name, count in counts.items()}

    def forward(
        self,
        batch: dict[str, Tensor],
        lam: float | None = None,
        progress: float = 0.0,
        totals: dict[str, Tensor] | None = None,
    ) -> dict[str, Any]:
        """Run all passes on one (micro-)batch.

        Args:
            batch: model inputs (B, L), ``labels`` (B,) or (B, C) with NaN where there is none, and ``teacher_logits``
                and ``fold_logits`` (B, C) where they were computed before.
            lam: the interpolation weight of this step.
            progress: the share of the stage that is done, 0 to 1.
            totals: each term's count over all micro-batches of the step; by default this batch's.

        Returns:
            ``loss``; ``terms`` as (sum, count); ``weights``; ``logits`` on plain inputs where anything looks at them.
        """
        step = self.step(batch, lam)
        inside = self.objective.weights if self.objective is not None else {}
        terms: dict[str, Term] = {}
        weights: dict[str, float] = {}
        for term in TERMS:
            if term.acts(step):
                found = term.value(step)
                if not step.counts:
                    found = {name: (0 * total, 0 * count) for name, (total, count) in found.items()}
                terms |= found
                each = term.weights(self.recipe, progress, inside)
                weights |= {name: each[name] for name in found}
        divisors = totals or {}
        scaled = {name: (total, divisors.get(name, count)) for name, (total, count) in terms.items()}
        return {
            "loss": weighted_mean(scaled, weights),
            "terms": {name: (total.detach(), count) for name, (total, count) in terms.items()},
            "weights": weights,
            "logits": step.logits if step.looks_at_plain_logits else None,
        }

    def start_epoch(self, *seed: int) -> None:
        """Draw a random layer map anew, as a function of ``seed``."""
        if self.objective is not None:
            self.objective.layer_map.redraw(*seed)

    @torch.no_grad()
    def after_step(self) -> None:
        """Update the moving average; called once after every optimiser step."""
        if self.ema is None or self.recipe.ema_decay is None:
            return
        for average, current in zip(self.ema.parameters(), self.student.parameters(), strict=True):
            average.lerp_(current, 1.0 - self.recipe.ema_decay)
        for held, new in zip(self.ema.buffers(), self.student.buffers(), strict=True):
            held.copy_(new)
