"""`evaluate`: score a saved classifier on a data source."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from crild.config import EvaluateConfig, takes
from crild.data.task import load_rows
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.inference import parameters, predict
from crild.models import loading
from crild.models.architecture import longest
from crild.randomness import own_random_state
from crild.run.folder import RunFolder
from crild.run.objects import configured
from crild.run.predictions import predictions_frame
from crild.run.result import Evaluation
from crild.run.targets import Target
from crild.tasks.labels import align_labels, parse_label_map
from crild.tasks.registry import task_type_of


@takes(EvaluateConfig)
@own_random_state()
def evaluate(
    config: EvaluateConfig | None = None, *, tokenizer: PreTrainedTokenizerBase | None = None, **options: Any
) -> Evaluation:
    """Score a classifier on the validation split of a data source (on all rows of a single file).

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `EvaluateConfig`, for instance ``model="runs/tweets/student", data="tweets.csv"``.
            ``model`` may be a transformers model, ``data`` and ``validation`` rows in memory, as in `crild.distill`.

    Returns:
        ``score``, ``metric``, its 95 % bootstrap ``interval``, every other metric that applies as ``scores``, and
        the number of ``rows``; and every row's answer as ``predictions``.

    Raises:
        CrildError: model or data cannot be used.
    """
    with (
        TemporaryDirectory(prefix="crild-") as folder,
        configured(EvaluateConfig, config, options, tokenizer, lambda _: Path(folder)) as (whole, _),
    ):
        return score(whole)


def score(config: EvaluateConfig) -> Evaluation:
    """Score as a configuration says; see `evaluate`."""
    if not config.model:
        raise CrildError("the model is missing: crild evaluate MODEL --data PATH")
    config = replace(config, model=student_of(config.model))
    assert config.model is not None
    model, trained = loading.load_model(config.model, "model", None, config.trust_remote_code, config.revision)
    if not trained:
        raise CrildError(f"model: {config.model} has no trained classification head; fine-tune it first")
    tokenizer = loading.load_tokenizer(config.model, "model", config.trust_remote_code, config.revision)
    task_type = task_type_of(model.config)
    if config.max_length is None and tokenizer.model_max_length < 10_000:
        config = replace(config, max_length=tokenizer.model_max_length)
    task, rows = load_rows(config, task_type)
    if task.task_type is not task_type:
        raise CrildError(f"{config.data} holds a {task.task_type.name} task, and {config.model} does {task_type.name}")
    names, notes = loading.label_names(model.config), list(task.notes)
    tokenised = tokenise(rows, tokenizer, min(task.max_length, longest(model)))
    labels = tokenised["labels"][:]
    known = np.array([i for i, label in enumerate(labels) if label is not None], dtype=int)
    if not len(known):
        raise CrildError(f"{config.data} has no labels to score against (--label names the column)")
    truth, positive = [labels[i] for i in known], 1
    if task_type.named:
        alignment = align_labels(task.names, task.generic, names, parse_label_map(config.label_map))
        truth = [task_type.aligned(label, alignment.index, len(names)) for label in truth]
        positive = alignment.index[1] if len(alignment.index) == 2 else 1
        notes += [alignment.note] if alignment.note else []
    measure = task_type.find_metric(task.metric, len(names), positive)
    target = Target(task_type, known, np.array(truth), measure, task.metric, positive)
    logits = predict(model, tokenised, tokenizer)
    return Evaluation(
        task=task.name,
        metric=task.metric,
        **target.report(logits),
        rows=len(known),
        parameters=parameters(model),
        notes=notes,
        predictions=predictions_frame(replace(task, names=names), next(iter(task.validation), "train"), rows, target,
                                      {"model": logits}),
    )  # fmt: skip


def student_of(model: str) -> str:
    """Return the folder of a finished run's last model (its student, or what it fine-tuned), or ``model`` itself."""
    run = RunFolder(Path(model).expanduser())
    if not run.is_finished:
        return model
    return str(next(path for path in (run.model("student"), run.model("teacher")) if path.exists()))
