"""The terms of a stage, one small object each: when it acts, its weight, its count and its value.

A new term is a subclass of `StageTerm` in `TERMS`, and the weight that it reads from the recipe.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from crild.features import Features, full_precision
from crild.methods.recipe import Recipe
from crild.models.architecture import model_inputs
from crild.models.capture import capture, evaluation_mode
from crild.models.interpolation import Mixing
from crild.objectives import Composition, Term
from crild.tasks.base import TaskType, known

CONSISTENCY = "consistency/"
STAND_IN = "stand_in"  # in a batch whose rows are another process's: nothing of it counts


@dataclass(frozen=True)
class Models:
    """Who takes part in a step: the student, its moving average or itself as ``clean_student``, teacher, objective.

    The task type is the student's.
    """

    student: PreTrainedModel
    clean_student: PreTrainedModel
    teacher: PreTrainedModel | None
    objective: Composition | None
    task_type: TaskType


class Step:
    """One (micro-)batch and the passes over it; each pass runs when a term first asks for it, and once.

    Args:
        recipe: what the stage minimises.
        models: who takes part; `count` needs the objective alone.
        batch: model inputs (B, L), ``labels`` (B,) or (B, C), perhaps ``teacher_logits`` (B, C), ``fold_logits``
            (B, C) with NaN where a row is in no fold, ``words`` (B, L), and `STAND_IN`.
        lam: the step's interpolation weight.
    """

    def __init__(self, recipe: Recipe, models: Models, batch: dict[str, Tensor], lam: float | None) -> None:
        self.recipe, self.models, self.batch = recipe, models, batch
        self.mask = batch["attention_mask"]
        drawn = Mixing.of(recipe.partners, lam, len(self.mask), self.mask.device) if lam is not None else None
        self.mixing = drawn if recipe.interpolate else None
        self.logit_mixing = drawn if recipe.interpolate_logits else None

    @property
    def objective(self) -> Composition:
        """The intermediate objective."""
        assert self.models.objective is not None, "this recipe needs an objective"
        return self.models.objective

    @property
    def teacher(self) -> PreTrainedModel:
        """The frozen teacher."""
        assert self.models.teacher is not None, "this recipe needs a teacher"
        return self.models.teacher

    @property
    def counts(self) -> bool:
        """Whether the batch counts, and does not stand in for one that would be empty."""
        return STAND_IN not in self.batch

    @property
    def labelled(self) -> Tensor:
        """The number of rows with a label."""
        return known(self.batch["labels"]).sum()

    def full_precision(self) -> AbstractContextManager:
        """Return a context for relations and divergences, whatever precision the models' passes run in."""
        return torch.autocast(self.mask.device.type, enabled=False)

    @property
    def shares_mixing(self) -> bool:
        """Whether intermediate and distillation terms run on the same interpolated inputs, so that one pass will do."""
        return self.recipe.intermediate_weight > 0 and self.mixing is not None and self.logit_mixing is not None

    @property
    def looks_at_plain_logits(self) -> bool:
        """Whether anything needs the student's logits on plain inputs; out of training its score does."""
        recipe = self.recipe
        distils = recipe.distillation > 0 and self.logit_mixing is None
        return recipe.task > 0 or distils or (recipe.uses_logits and not self.models.student.training)

    # ---- passes ----

    @cached_property
    def target(self) -> Features:
        """The teacher's features, with what the objective is to see of the batch: words, and the mask."""
        needs = {*self.objective.needs, *(("logits",) if self.shares_mixing else ())}
        with torch.no_grad():
            seen = capture(self.teacher, self.batch, needs, self.objective.layers("teacher"), self.mixing)
        mask = seen.mask if self.recipe.masked else torch.ones_like(seen.mask)
        if not self.counts:
            mask = torch.zeros_like(mask)
        return replace(seen, mask=mask, words=self.batch.get("words"))

    @cached_property
    def student(self) -> Features:
        """The student's features, with its logits where another term looks at those of the same inputs."""
        mixed = self.shares_mixing or self.recipe.mixed_task > 0
        with_logits = mixed if self.mixing is not None else self.looks_at_plain_logits
        needs = {*self.objective.needs, *(("logits",) if with_logits else ())}
        return capture(self.models.student, self.batch, needs, self.objective.layers("student"), self.mixing)

    @cached_property
    def clean(self) -> Features:
        """The features of the student (or its moving average) on plain inputs, without dropout and gradient."""
        with evaluation_mode(self.models.clean_student):
            return capture(
                self.models.clean_student, self.batch, self.objective.needs, self.objective.layers("student")
            )

    @cached_property
    def logits(self) -> Tensor:
        """The student's logits on plain inputs; of the pass that gave its features, where that was plain."""
        if self.recipe.intermediate_weight and self.mixing is None:
            return full_precision(self.student.logits)
        student = self.models.student
        return full_precision(student(**model_inputs(self.batch, student)).logits)

    @cached_property
    def teacher_logits(self) -> Tensor:
        """The teacher's logits on plain inputs, from the batch where they were computed before.

        Those of the teacher of a row's own fold go before them.
        """
        logits = self.batch.get("teacher_logits")
        if logits is None:
            with torch.no_grad():
                logits = full_precision(self.teacher(**model_inputs(self.batch, self.teacher)).logits)
        folds = self.batch.get("fold_logits")
        return logits if folds is None else torch.where(folds.isnan(), logits, folds)

    @cached_property
    def mixed_logits(self) -> tuple[Tensor, Tensor]:
        """The student's and the live teacher's logits on the same interpolated inputs."""
        if self.shares_mixing:
            return full_precision(self.student.logits), full_precision(self.target.logits)
        ours = capture(self.models.student, self.batch, ("logits",), mixing=self.logit_mixing)
        with torch.no_grad():
            theirs = capture(self.teacher, self.batch, ("logits",), mixing=self.logit_mixing)
        return full_precision(ours.logits), full_precision(theirs.logits)


class StageTerm:
    """One term of a stage, or several of a kind.

    Attributes:
        names: of its terms; empty where the objective names them.
    """

    names: ClassVar[tuple[str, ...]] = ()

    def acts(self, step: Step) -> bool:
        """Return whether the recipe has it, on this batch."""
        raise NotImplementedError

    def weights(self, recipe: Recipe, progress: float, inside: dict[str, float]) -> dict[str, float]:
        """Return each name's weight when the share ``progress`` of the stage is done.

        Args:
            recipe: of the stage.
            progress: 0 to 1.
            inside: the weights of the objective's own terms.
        """
        raise NotImplementedError

    def count(self, step: Step) -> dict[str, Tensor]:
        """Return each name's count, from the batch alone: no model runs."""
        raise NotImplementedError

    def value(self, step: Step) -> dict[str, Term]:
        """Return each name's (sum, count)."""
        raise NotImplementedError


class Filters(StageTerm):
    """What trains an objective's filters on labels, the backbones frozen (TED)."""

    names = ("filter_student", "filter_teacher")

    def acts(self, step: Step) -> bool:
        return step.recipe.filters > 0

    def weights(self, recipe: Recipe, progress: float, inside: dict[str, float]) -> dict[str, float]:
        return dict.fromkeys(self.names, recipe.filters)

    def count(self, step: Step) -> dict[str, Tensor]:
        return dict.fromkeys(self.names, step.labelled)

    def value(self, step: Step) -> dict[str, Term]:
        objective, student = step.objective, step.models.student
        with evaluation_mode(student):
            ours = capture(student, step.batch, objective.needs, objective.layers("student"))
            theirs = capture(step.teacher, step.batch, objective.needs, objective.layers("teacher"))
        with step.full_precision():
            return objective.filter_terms(ours, theirs, step.batch["labels"], step.models.task_type.loss)


class Intermediate(StageTerm):
    """The objective's own terms between student and teacher."""

    def acts(self, step: Step) -> bool:
        return step.recipe.intermediate_weight > 0

    def weights(self, recipe: Recipe, progress: float, inside: dict[str, float]) -> dict[str, float]:
        return {name: recipe.intermediate_weight * weight for name, weight in inside.items()}

    def count(self, step: Step) -> dict[str, Tensor]:
        seen = step.mask if step.mixing is None else step.mixing.union(step.mask)
        return step.objective.counts(seen if step.recipe.masked else torch.ones_like(seen))

    def value(self, step: Step) -> dict[str, Term]:
        target, student = step.target, step.student
        with step.full_precision():
            return step.objective(student, target)


class Consistency(StageTerm):
    """The objective's terms between the student on interpolated and on plain inputs (`method.md` 6.3)."""

    def acts(self, step: Step) -> bool:
        return step.recipe.intermediate_weight > 0 and step.recipe.consistency > 0 and step.mixing is not None

    def weights(self, recipe: Recipe, progress: float, inside: dict[str, float]) -> dict[str, float]:
        return {CONSISTENCY + name: recipe.consistency * progress * weight for name, weight in inside.items()}

    def count(self, step: Step) -> dict[str, Tensor]:
        return {CONSISTENCY + name: n for name, n in step.objective.consistency_counts(step.mask).items()}

    def value(self, step: Step) -> dict[str, Term]:
        assert step.mixing is not None
        clean, student = step.clean, step.student
        with step.full_precision():
            return consistency_terms(step.objective, student, clean, step.mixing)


class MixedTask(StageTerm):
    """The task's loss on interpolated inputs against interpolated labels (MixKD)."""

    names = ("mixed_task",)

    def acts(self, step: Step) -> bool:
        return step.recipe.intermediate_weight > 0 and step.recipe.mixed_task > 0 and step.mixing is not None

    def weights(self, recipe: Recipe, progress: float, inside: dict[str, float]) -> dict[str, float]:
        return {"mixed_task": recipe.mixed_task}

    def count(self, step: Step) -> dict[str, Tensor]:
        return {"mixed_task": step.labelled}

    def value(self, step: Step) -> dict[str, Term]:
        assert step.mixing is not None
        logits = step.student.logits
        with step.full_precision():
            labels, lam, partners = step.batch["labels"], step.mixing.lam, step.mixing.partners
            return {"mixed_task": step.models.task_type.mixed_loss(full_precision(logits), labels, lam, partners)}


class Distillation(StageTerm):
    """The teacher's logits, on plain or on interpolated inputs."""

    names = ("kd",)

    def acts(self, step: Step) -> bool:
        return step.recipe.distillation > 0

    def weights(self, recipe: Recipe, progress: float, inside: dict[str, float]) -> dict[str, float]:
        return {"kd": recipe.distillation}

    def count(self, step: Step) -> dict[str, Tensor]:
        return {"kd": torch.tensor(len(step.mask), device=step.mask.device)}

    def value(self, step: Step) -> dict[str, Term]:
        distance = step.models.task_type.distillation
        mixed = step.logit_mixing is not None
        ours, theirs = step.mixed_logits if mixed else (step.logits, step.teacher_logits)
        return {"kd": distance(ours, theirs, step.recipe.temperature)}


class Labels(StageTerm):
    """The task's own loss on labelled rows."""

    names = ("task",)

    def acts(self, step: Step) -> bool:
        return step.recipe.task > 0

    def weights(self, recipe: Recipe, progress: float, inside: dict[str, float]) -> dict[str, float]:
        return {"task": recipe.task}

    def count(self, step: Step) -> dict[str, Tensor]:
        return {"task": step.labelled}

    def value(self, step: Step) -> dict[str, Term]:
        return {"task": step.models.task_type.loss(step.logits, step.batch["labels"])}


TERMS: tuple[StageTerm, ...] = (
    Filters(),
    Intermediate(),
    Consistency(),
    MixedTask(),
    Distillation(),
    Labels(),
)
"""In the order of their passes, which draw dropout from one stream."""


def consistency_terms(objective: Composition, mixed: Features, clean: Features, mixing: Mixing) -> dict[str, Term]:
    """Return ``lam * D(F~_i, F_i) + (1 - lam) * D(F~_i, F_partner(i))`` for each of the objective's terms.

    ``D`` has the clean side as target, over the tokens that are real in the target (`method.md` 6.3).

    Args:
        objective: the features' divergences.
        mixed: the student on interpolated inputs, with gradient.
        clean: the student (or its moving average) on the clean inputs, without.
        mixing: ``lam`` and partners.
    """
    to_own = objective.consistency(mixed, clean)
    to_partner = objective.consistency(mixed, clean.take(mixing.partners))
    return {
        CONSISTENCY + name: (mixing.lam * total + (1.0 - mixing.lam) * to_partner[name][0], count)
        for name, (total, count) in to_own.items()
    }
