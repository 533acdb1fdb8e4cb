"""One training step: two models, captured features, an objective, one number.

`Distiller` is the module that the trainer sees: student, objective (with its width maps) and moving average are its
parts, so that optimiser, checkpoints and several processes see every trainable tensor. The teacher is not a part of
it: it is frozen and never saved.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from crild.data.batching import model_inputs
from crild.features import Features, full_precision
from crild.layers import Pairs
from crild.models.capture import capture, evaluation_mode
from crild.models.interpolation import Mixing
from crild.objectives import Objective, Term, distillation_loss, task_loss, weighted_mean

CONSISTENCY = "consistency/"


@dataclass(frozen=True)
class Recipe:
    """What one stage minimises.

    Attributes:
        features: weight of the intermediate terms (the objective given to the `Distiller`).
        pairs: (student layer, teacher layer) pairs of the intermediate terms.
        interpolate: feed both models interpolated inputs (`method.md` 6.1).
        consistency: final weight of the consistency term, reached linearly: ``consistency * p`` (6.4); 0 for none.
        ema_decay: the consistency targets come from a moving average of the student with this decay, if given.
        distillation: weight of the teacher's logits.
        task: weight of the task's own loss on labelled rows.
        temperature: of the logit distillation.
    """

    features: float = 0.0
    pairs: Pairs = ()
    interpolate: bool = False
    consistency: float = 0.0
    ema_decay: float | None = None
    distillation: float = 0.0
    task: float = 0.0
    temperature: float = 2.0

    @property
    def uses_logits(self) -> bool:
        """Whether the stage looks at the student's logits."""
        return self.distillation > 0 or self.task > 0


class Distiller(nn.Module):
    """Student and objective of one stage, as one module.

    Args:
        student: the model to train.
        recipe: what to minimise.
        teacher: frozen model; not needed where the batches carry its logits and no features are matched.
        objective: the intermediate terms; needed if ``recipe.features``.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        recipe: Recipe,
        teacher: PreTrainedModel | None = None,
        objective: Objective | None = None,
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
        return Mixing.of_neighbours(lam, len(mask), mask.device)

    def counts(self, batch: dict[str, Tensor], lam: float | None) -> dict[str, Tensor]:
        """Return each term's count in ``batch``, without running a model."""
        mask, recipe = batch["attention_mask"], self.recipe
        counts: dict[str, Tensor] = {}
        if recipe.features and self.objective is not None:
            mixing = self.mixing(mask, lam)
            counts |= self.objective.counts(mask if mixing is None else mixing.union(mask))
            if recipe.consistency and mixing is not None:
                counts |= {CONSISTENCY + k: n for k, n in self.objective.counts(mask).items()}
        if recipe.distillation:
            counts["kd"] = torch.tensor(len(mask), device=mask.device)
        if recipe.task:
            counts["task"] = (~batch["labels"].isnan()).sum()
        return counts

    def weights(self, terms: dict[str, Any], progress: float) -> dict[str, float]:
        """Return the weight of each term when the share ``progress`` of the stage is done."""
        recipe = self.recipe
        fixed = {"kd": recipe.distillation, "task": recipe.task}
        return {
            name: recipe.consistency * progress if name.startswith(CONSISTENCY) else fixed.get(name, recipe.features)
            for name in terms
        }

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
        terms: dict[str, Term] = {}
        logits = None
        if self.recipe.features:
            terms |= self._feature_terms(batch, lam)
        if self.recipe.uses_logits:
            logits = full_precision(self.student(**model_inputs(batch)).logits)
            if self.recipe.distillation:
                terms["kd"] = distillation_loss(logits, self._teacher_logits(batch), self.recipe.temperature)
            if self.recipe.task:
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
            return full_precision(self.teacher(**model_inputs(batch)).logits)

    def _feature_terms(self, batch: dict[str, Tensor], lam: float | None) -> dict[str, Term]:
        objective, pairs = self.objective, self.recipe.pairs
        assert objective is not None, "a recipe with features needs an objective"
        inputs = model_inputs(batch)
        mixing = self.mixing(inputs["attention_mask"], lam)
        ours = sorted({s for s, _ in pairs})
        theirs = sorted({t for _, t in pairs})
        with torch.no_grad():
            target = capture(self.teacher, inputs, objective.needs, theirs, mixing)
        clean = None
        if mixing is not None and self.recipe.consistency:
            model = self.student if self.ema is None else self.ema
            with evaluation_mode(model):
                clean = capture(model, inputs, objective.needs, ours)
        student = capture(self.student, inputs, objective.needs, ours, mixing)
        # Relations and divergences in full precision, whatever precision the models' passes run in.
        with torch.autocast(target.mask.device.type, enabled=False):
            terms = objective(student, target, pairs)
            if mixing is not None and clean is not None:
                terms |= consistency_terms(objective, student, clean, mixing, ours)
        return terms

    @torch.no_grad()
    def after_step(self) -> None:
        """Update the moving average; called once after every optimiser step."""
        if self.ema is None or self.recipe.ema_decay is None:
            return
        for average, current in zip(self.ema.parameters(), self.student.parameters(), strict=True):
            average.lerp_(current, 1.0 - self.recipe.ema_decay)
        for held, new in zip(self.ema.buffers(), self.student.buffers(), strict=True):
            held.copy_(new)


def consistency_terms(
    objective: Objective, mixed: Features, clean: Features, mixing: Mixing, layers: list[int]
) -> dict[str, Term]:
    """Return ``lam * D(F~_i, F_i) + (1 - lam) * D(F~_i, F_partner(i))`` for each of the objective's terms.

    ``D`` has the clean side as target, over the tokens that are real in the target (`method.md` 6.3).

    Args:
        objective: the features' divergences.
        mixed: the student on interpolated inputs, with gradient.
        clean: the student (or its moving average) on the clean inputs, without.
        mixing: ``lam`` and partners.
        layers: the student layers to compare.
    """
    pairs = tuple((layer, layer) for layer in layers)
    own = objective(mixed, clean, pairs)
    other = objective(mixed, clean.take(mixing.partners), pairs)
    return {
        CONSISTENCY + name: (mixing.lam * total + (1.0 - mixing.lam) * other[name][0], count)
        for name, (total, count) in own.items()
    }
