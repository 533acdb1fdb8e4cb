"""About how long a plan takes: from a few timed steps, the models taking turns."""

import time
from collections.abc import Mapping
from copy import deepcopy

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from crild.data.batching import Collator
from crild.data.rows import column
from crild.inference import autocast
from crild.models.architecture import model_inputs
from crild.run.inputs import Inputs
from crild.run.models import Models
from crild.run.plan import Plan, PlannedStage

ROUNDS = 5  # the median of so many is what another process's burst does not move
ROWS, TOKENS = 32, 2048  # of a timed batch, at the most: long texts would take seconds and tell nothing new
OVERHEAD = 1.1  # batching, logging and checkpoints beside the steps


def estimate_minutes(plan: Plan, inputs: Inputs, models: Models, precision: str) -> dict[str, float]:
    """Return about how many minutes each stage takes, by its name, and the final ``scoring``."""
    teacher, student = per_row(inputs, models, precision)
    mean_length = float(np.mean(column(inputs.train, "length").to_numpy()))
    held_out = len(inputs.selection)
    minutes = {
        stage.name: OVERHEAD * stage_seconds(stage, teacher, student, held_out, mean_length) / 60
        for stage in plan.stages
    }
    scored = sum(len(rows) for rows in inputs.validation.values())
    minutes["scoring"] = scored * (teacher[0] + 2 * student[0]) / 60
    return minutes


class TimeLeft:
    """The minutes that a run still takes: as estimated, corrected by how long its stages really took.

    Args:
        minutes: as `estimate_minutes` gives them; empty where nobody estimated.
    """

    def __init__(self, minutes: Mapping[str, float]) -> None:
        self.left = dict(minutes)
        self.planned = self.took = 0.0

    def finish(self, stage: str, took: float | None) -> None:
        """Note that a stage is done, in ``took`` minutes; ``None`` where most of it was done before."""
        planned = self.left.pop(stage, 0.0)
        if planned and took is not None:
            self.planned, self.took = self.planned + planned, self.took + took

    def minutes(self, without: str = "") -> float:
        """Return the minutes of all stages that are left, perhaps without one of them."""
        left = sum(minutes for stage, minutes in self.left.items() if stage != without)
        return left * (self.took / self.planned if self.planned else 1.0)


def stage_seconds(
    stage: PlannedStage, teacher: tuple[float, float], student: tuple[float, float], held_out: int, mean_length: float
) -> float:
    """Return about how many seconds a stage takes.

    Args:
        stage: what is planned.
        teacher, student: seconds a row of a forward pass, and of a forward and backward pass.
        held_out: rows that are evaluated on.
        mean_length: tokens of a training row.
    """
    recipe, settings = stage.recipe, stage.settings
    forward, step = teacher if stage.trains in ("teacher", "fold") else student
    each = forward + teacher[0] if recipe.filters else step
    terms = ((recipe.intermediate_weight, recipe.interpolate), (recipe.distillation, recipe.interpolate_logits),
             (recipe.task, False))  # fmt: skip
    kinds = {interpolated for weight, interpolated in terms if weight}
    each += step * max(0, len(kinds) - 1)  # the student sees each kind of inputs once
    if recipe.intermediate_weight:
        each += teacher[0] + forward * bool(recipe.consistency)
    each *= (settings.pad_to or mean_length) / mean_length
    epoch = settings.steps_per_epoch(stage.rows)
    evaluations = 1 - (-stage.steps // epoch) + (stage.steps // settings.eval_steps if settings.eval_steps else 0)
    answered = stage.rows if stage.caches_logits else stage.steps * settings.batch_size  # rows that the teacher reads
    live = bool(recipe.intermediate_weight or recipe.interpolate_logits)
    return (
        stage.steps * settings.batch_size * each
        + evaluations * held_out * (forward + teacher[0] * live)
        + answered * teacher[0] * bool(recipe.distillation)
    )


def per_row(inputs: Inputs, models: Models, precision: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the seconds a row of teacher and student: of a forward pass, and of a forward and backward pass."""
    first = inputs.train.select(range(min(ROWS, len(inputs.train))))
    rows = [first[i] for i in range(max(1, min(len(first), TOKENS // max(first["length"][:]))))]
    batch = Collator(inputs.tokenizer)(rows)
    timed = [deepcopy(model).train() for model in (models.teacher, models.student) if model is not None]
    times: list[list[tuple[float, float]]] = [[] for _ in timed]
    for number in range(-1, ROUNDS):  # the first round warms up
        for model, measured in zip(timed, times, strict=True):
            pair = timed_step(model, batch, precision)
            if number >= 0:
                measured.append(pair)
    medians = [tuple(float(np.median(column)) / len(rows) for column in zip(*each, strict=True)) for each in times]
    teacher, student = medians[0], medians[-1] if models.student is not None else (0.0, 0.0)
    return (teacher[0], teacher[1]), (student[0], student[1])


def timed_step(model: PreTrainedModel, batch: dict[str, Tensor], precision: str) -> tuple[float, float]:
    """Return the seconds of a forward pass, and of a forward and backward pass."""
    inputs = {name: x.to(model.device) for name, x in model_inputs(batch, model).items()}
    start = time.perf_counter()
    with autocast(model.device, precision):
        loss = model(**inputs).logits.float().square().sum()
    loss.item()  # waits for the device
    middle = time.perf_counter()
    loss.backward()
    float(next(p.grad for p in model.parameters() if p.grad is not None).sum())
    return middle - start, time.perf_counter() - start
