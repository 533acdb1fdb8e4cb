"""Passes over rows: what a model answers and how right that is, its losses, and what its layers hold."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from crild.diagnostics.rows import Batch, labelled, labels_of
from crild.features import Features, full_precision
from crild.metrics import Measure
from crild.models.architecture import model_inputs
from crild.models.capture import capture, evaluation_mode
from crild.models.shape import head_pooling
from crild.objectives import Composition, weighted_mean
from crild.objectives.geometry import mean_pool
from crild.tasks.registry import task_type_of


def on_device(batch: Batch, model: PreTrainedModel) -> Batch:
    """Return a batch on a model's device."""
    return {name: x.to(model.device) for name, x in batch.items()}


def logits_of(model: PreTrainedModel, rows: Sequence[Batch]) -> Tensor:
    """Return a model's logits (n, C) in evaluation mode, on the CPU."""
    with evaluation_mode(model):
        passes = [model(**model_inputs(on_device(batch, model), model)).logits for batch in rows]
    return torch.cat(passes).float().cpu()


def measured(model: PreTrainedModel, rows: list[Batch], metric: Measure | None = None) -> dict[str, float]:
    """Return the task's mean ``loss`` and the ``score`` of a model over the labelled rows.

    Args:
        model: a classifier (or regressor).
        rows: see `batches`.
        metric: of (truth, answers); by default the task type's own.
    """
    task_type, seen = task_type_of(model.config), labelled(rows)
    measure = metric or task_type.find_metric(task_type.default_metric, int(model.config.num_labels or 1))
    logits, labels = logits_of(model, rows), labels_of(rows)
    total, number = task_type.loss(logits, torch.from_numpy(labels))
    score = measure(labels[seen], task_type.answers(logits.numpy()[seen]))
    return {"loss": float(total / number), "score": float(score)}


class Losses:
    """The losses of a model over rows, as a function of the model: ``task`` and, with a teacher, ``ild``.

    ``task`` is the task's own loss over the labelled rows. ``ild`` is the weighted sum of an objective's terms between
    the model and a teacher on plain inputs (no interpolation, no consistency). What the teacher does on the rows is
    computed once, here.

    Args:
        rows: see `batches`.
        teacher: the model that is matched.
        objective: what is matched between the two, see `crild.RunFolder.objective`.

    Example:
        >>> losses = crild.diagnostics.Losses(rows, run.teacher, run.objective)
        >>> losses(run.student)
        {'task': tensor(0.31), 'ild': tensor(0.18)}
    """

    def __init__(
        self, rows: Sequence[Batch], teacher: PreTrainedModel | None = None, objective: Composition | None = None
    ) -> None:
        self.rows, self.objective = rows, objective
        self.targets: list[Features] = []
        if teacher is not None and objective is not None:
            for batch in rows:
                with evaluation_mode(teacher):
                    inputs, layers = on_device(batch, teacher), objective.layers("teacher")
                    seen = capture(teacher, inputs, objective.needs, layers)
                self.targets.append(replace(seen, words=inputs.get("words")))

    def __call__(self, model: PreTrainedModel) -> dict[str, Tensor]:
        """Return each loss; gradients flow where the caller has them enabled. The model's mode is the caller's."""
        task_type = task_type_of(model.config)
        terms: dict[str, tuple[Tensor, Tensor]] = {}
        for place, batch in enumerate(self.rows):
            inputs = on_device(batch, model)
            if self.targets and self.objective is not None:
                needs = {*self.objective.needs, "logits"}
                seen = capture(model, inputs, needs, self.objective.layers("student"))
                found = self.objective(seen, self.targets[place])
                logits = full_precision(seen.logits)
            else:
                found, logits = {}, full_precision(model(**model_inputs(inputs, model)).logits)
            for name, term in {**found, "": task_type.loss(logits, inputs["labels"])}.items():
                before = terms.get(name)
                terms[name] = term if before is None else (before[0] + term[0], before[1] + term[1])
        out = {"task": weighted_mean({"": terms.pop("")}, {"": 1.0})}
        return out | ({"ild": weighted_mean(terms, self.objective.weights)} if terms and self.objective else {})


def layer_vectors(model: PreTrainedModel, rows: Sequence[Batch]) -> list[np.ndarray]:
    """Return one vector a row of every layer, 0 (what the first layer sees) to the last: each (n, d).

    It is what the head reads of the last layer (`method.md` 2): the first token's state, or the mean over real tokens.
    """
    pool = head_pooling(model.config) == "first"
    layers = range(model.config.num_hidden_layers + 1)
    found: list[list[np.ndarray]] = [[] for _ in layers]
    for batch in rows:
        inputs = on_device(batch, model)
        with evaluation_mode(model):
            seen = capture(model, inputs, ("hidden",), layers)
        for layer in layers:
            hidden = full_precision(seen.layers[layer].hidden)
            found[layer].append((hidden[:, 0] if pool else mean_pool(hidden, seen.mask)).cpu().numpy())
    return [np.concatenate(parts) for parts in found]


def token_states(model: PreTrainedModel, rows: Sequence[Batch], chosen: np.ndarray) -> list[np.ndarray]:
    """Return the states of some real tokens at every layer: each (tokens, d).

    Args:
        model: an encoder.
        rows: see `batches`.
        chosen: numbers of tokens, counted through all rows, padding left out; in rising order.
    """
    layers = range(model.config.num_hidden_layers + 1)
    found: list[list[np.ndarray]] = [[] for _ in layers]
    before = 0
    for batch in rows:
        inputs = on_device(batch, model)
        real = inputs["attention_mask"].bool()
        here = chosen[(chosen >= before) & (chosen < before + int(real.sum()))] - before
        before += int(real.sum())
        with evaluation_mode(model):
            seen = capture(model, inputs, ("hidden",), layers)
        for layer in layers:
            found[layer].append(full_precision(seen.layers[layer].hidden)[real].cpu().numpy()[here])
    return [np.concatenate(parts) for parts in found]
