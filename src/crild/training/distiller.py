"""One training step: two models, captured features, an objective, one number.

`Distiller` is the module that the trainer sees: student, objective (with its learned maps and other state) and moving
average are its parts, so that optimiser, checkpoints and several processes see every trainable tensor. The teacher is
not a part of it: it is frozen and never saved.
"""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from crild.features import Features, full_precision
from crild.methods.recipe import Recipe
from crild.models.architecture import model_inputs
from crild.models.capture import capture, evaluation_mode
from crild.models.interpolation import Mixing
from crild.objectives import (
    STAGE_TERMS,
    Composition,
    Term,
    distillation_loss,
    mixed_task_loss,
    task_loss,
    weighted_mean,
)

CONSISTENCY = "consistency/"


class Distiller(nn.Module):
    """Student and objective of one stage, as one module.

    Args:
        student: the model to train.
        recipe: what to minimise.
        teacher: frozen model; not needed where the batches carry its logits and no features are matched.
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

    def move_teacher(self, device: torch.device) -> None:
        """Put the teacher on ``device`` (the trainer moves only the module's own parts)."""
        for teacher in self._teacher:
            teacher.to(device)

    def mixing(self, mask: Tensor, lam: float | None) -> Mixing | None:
        """Return how a batch with this mask is interpolated, or ``None``."""
        if lam is None or not self.recipe.interpolate:
            return None
        return Mixing.of(self.recipe.partners, lam, len(mask), mask.device)

    def counts(self, batch: dict[str, Tensor], lam: float | None) -> dict[str, Tensor]:
        """Return each term's count in ``batch``, without running a model."""
        mask, recipe = batch["attention_mask"], self.recipe
        counts: dict[str, Tensor] = {}
        labelled = (~batch["labels"].isnan()).sum() if recipe.uses_labels else mask.sum() * 0
        if recipe.filters:
            counts |= {f"filter_{side}": labelled for side in ("student", "teacher")}
        if recipe.intermediate_weight and self.objective is not None:
            mixing = self.mixing(mask, lam)
            seen = mask if mixing is None else mixing.union(mask)
            counts |= self.objective.counts(seen if recipe.masked else torch.ones_like(seen))
            if recipe.consistency and mixing is not None:
                counts |= {CONSISTENCY + k: n for k, n in self.objective.consistency_counts(mask).items()}
            if recipe.mixed_task and mixing is not None:
                counts["mixed_task"] = labelled
        if recipe.distillation:
            counts["kd"] = torch.tensor(len(mask), device=mask.device)
        if recipe.task:
            counts["task"] = labelled
        return counts

    def weights(self, terms: dict[str, Any], progress: float) -> dict[str, float]:
        """Return the weight of each term when the share ``progress`` of the stage is done."""
        recipe = self.recipe
        inside = self.objective.weights if self.objective is not None else {}

        def weight(name: str) -> float:
            if name.startswith(CONSISTENCY):
                return recipe.consistency * progress * inside[name.removeprefix(CONSISTENCY)]
            return (
                getattr(recipe, STAGE_TERMS[name]) if name in STAGE_TERMS else recipe.intermediate_weight * inside[name]
            )

        return {name: weight(name) for name in terms}

    def forward(
        self,
        batch: dict[str, Tensor],
        lam: float | None = None,
        progress: float = 0.0,
        totals: dict[str, Tensor] | None = None,
    ) -> dict[str, Any]:
        """Run all passes on one (micro-)batch.

        Args:
            batch: model inputs (B, L), ``labels`` (B,) with NaN where there is none, and ``teacher_logits`` (B, C)
                where they were computed before.
            lam: the interpolation weight of this step.
            progress: the share of the stage that is done, 0 to 1.
            totals: each term's count over all micro-batches of the step; by default this batch's.

        Returns:
            ``loss``; ``terms`` as (sum, count); ``weights``; ``logits`` where the stage uses them.
        """
        recipe = self.recipe
        terms: dict[str, Term] = {}
        logits = None
        if recipe.filters:
            terms |= self._filter_terms(batch)
        if recipe.intermediate_weight:
            found, logits = self._feature_terms(batch, lam)
            terms |= found
        if recipe.uses_logits:
            if logits is None:
                logits = full_precision(self.student(**model_inputs(batch, self.student)).logits)
            if recipe.distillation:
                terms["kd"] = distillation_loss(logits, self._teacher_logits(batch), recipe.temperature)
            if recipe.task:
                terms["task"] = task_loss(logits, batch["labels"])
        weights = self.weights(terms, progress)
        divisors = totals or {}
        scaled = {name: (total, divisors.get(name, count)) for name, (total, count) in terms.items()}
        return {
            "loss": weighted_mean(scaled, weights),
            "terms": {name: (total.detach(), count) for name, (total, count) in terms.items()},
            "weights": weights,
            "logits": logits,
        }

    def _teacher_logits(self, batch: dict[str, Tensor]) -> Tensor:
        if "teacher_logits" in batch:
            return batch["teacher_logits"]
        with torch.no_grad():
            return full_precision(self.teacher(**model_inputs(batch, self.teacher)).logits)

    def _feature_terms(self, batch: dict[str, Tensor], lam: float | None) -> tuple[dict[str, Term], Tensor | None]:
        """Return the intermediate terms, and the student's logits where a plain pass gave them as well."""
        objective, recipe = self.objective, self.recipe
        assert objective is not None, "a recipe with features needs an objective"
        mixing = self.mixing(batch["attention_mask"], lam)
        pairs, ours, theirs = objective.pairs, objective.layers("student"), objective.layers("teacher")
        with torch.no_grad():
            target = self._seen(capture(self.teacher, batch, objective.needs, theirs, mixing), batch)
        clean = None
        if mixing is not None and recipe.consistency:
            model = self.student if self.ema is None else self.ema
            with evaluation_mode(model):
                clean = capture(model, batch, objective.needs, ours)
        with_logits = recipe.mixed_task if mixing is not None else recipe.uses_logits
        needs = {*objective.needs, *(("logits",) if with_logits else ())}
        student = capture(self.student, batch, needs, ours, mixing)
        # Relations and divergences in full precision, whatever precision the models' passes run in.
        with torch.autocast(target.mask.device.type, enabled=False):
            terms = objective(student, target, pairs)
            if mixing is not None and clean is not None:
                terms |= consistency_terms(objective, student, clean, mixing)
            if mixing is not None and recipe.mixed_task:
                mixed = full_precision(student.logits)
                terms["mixed_task"] = mixed_task_loss(mixed, batch["labels"], mixing.lam, mixing.partners)
        logits = full_precision(student.logits) if mixing is None and with_logits else None
        return terms, logits

    def _seen(self, target: Features, batch: dict[str, Tensor]) -> Features:
        """Return the teacher's features with what the objective is to see of the batch: words, and the mask."""
        mask = target.mask if self.recipe.masked else torch.ones_like(target.mask)
        return replace(target, mask=mask, words=batch.get("words"))

    def _filter_terms(self, batch: dict[str, Tensor]) -> dict[str, Term]:
        objective = self.objective
        assert objective is not None, "filters belong to an objective"
        with evaluation_mode(self.student):
            ours = capture(self.student, batch, objective.needs, objective.layers("student"))
            theirs = capture(self.teacher, batch, objective.needs, objective.layers("teacher"))
        with torch.autocast(ours.mask.device.type, enabled=False):
            return objective.filter_terms(ours, theirs, batch["labels"])

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


def consistency_terms(objective: Composition, mixed: Features, clean: Features, mixing: Mixing) -> dict[str, Term]:
    """Return ``lam * D(F~_i, F_i) + (1 - lam) * D(F~_i, F_partner(i))`` for each of the objective's terms.

    ``D`` has the clean side as target, over the tokens that are real in the target (`method.md` 6.3).

    Args:
        objective: the features' divergences.
        mixed: the student on interpolated inputs, with gradient.
        clean: the student (or its moving average) on the clean inputs, without.
        mixing: ``lam`` and partners.
    """
    own = objective.consistency(mixed, clean)
    other = objective.consistency(mixed, clean.take(mixing.partners))
    return {
        CONSISTENCY + name: (mixing.lam * total + (1.0 - mixing.lam) * other[name][0], count)
        for name, (total, count) in own.items()
    }
