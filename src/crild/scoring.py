"""`evaluate`: score a saved classifier on a data source."""

from dataclasses import replace
from typing import Any

import numpy as np

from crild.config import EvaluateConfig, configure
from crild.data.labels import align_labels, parse_label_map
from crild.data.task import load_rows
from crild.data.tokenise import tokenise
from crild.errors import CrildError
from crild.inference import parameters, predict
from crild.metrics import all_scores, bootstrap_interval, find_metric, to_output
from crild.models import loading
from crild.models.loading import longest


def evaluate(config: EvaluateConfig | None = None, **options: Any) -> dict[str, Any]:
    """Score a classifier on the validation split of a data source (on all rows of a single file).

    Args:
        config: a whole configuration; or
        options: the fields of `EvaluateConfig`, for instance ``model="runs/tweets/student", data="tweets.csv"``.

    Returns:
        ``score``, ``metric``, its 95 % bootstrap ``interval``, every other metric that applies as ``scores``, and
        the number of ``rows``.

    Raises:
        CrildError: model or data cannot be used.
    """
    config = configure(EvaluateConfig, config, options)
    if not config.model:
        raise CrildError("the model is missing: crild evaluate MODEL --data PATH")
    loading.load_config(config.model, "model", config.trust_remote_code)
    model, trained = loading.load_model(config.model, "model", trust_remote_code=config.trust_remote_code)
    if not trained:
        raise CrildError(f"model: {config.model} has no trained classification head; fine-tune it first")
    tokenizer = loading.load_tokenizer(config.model, "model", config.trust_remote_code)
    kind = "regression" if model.config.num_labels == 1 else "classification"
    if config.max_length is None and tokenizer.model_max_length < 10_000:
        config = replace(config, max_length=tokenizer.model_max_length)
    task, rows = load_rows(config, kind)
    if task.kind != kind:
        raise CrildError(f"{config.data} holds a {task.kind} task, and {config.model} does {kind}")
    names = loading.label_names(model.config)
    notes = list(task.notes)
    tokenised = tokenise(rows, tokenizer, min(task.max_length, longest(model)))
    labels = list(tokenised["labels"])
    known = [i for i, label in enumerate(labels) if label is not None]
    if not known:
        raise CrildError(f"{config.data} has no labels to score against (--label names the column)")
    truth, positive = np.array([labels[i] for i in known]), 1
    if kind == "classification":
        alignment = align_labels(task.names, task.generic, names, parse_label_map(config.label_map))
        truth = np.array([alignment.index[int(v)] for v in truth], dtype=float)
        positive = alignment.index[1] if len(alignment.index) == 2 else 1
        notes += [alignment.note] if alignment.note else []
    measure = find_metric(task.metric, kind, len(names), positive)
    logits = predict(model, tokenised, tokenizer)[known]
    output = to_output(logits)
    return {
        "task": task.name,
        "metric": task.metric,
        "score": measure(truth, output),
        "interval": list(bootstrap_interval(measure, truth, output)),
        "scores": all_scores(truth, logits, positive),
        "rows": len(known),
        "parameters": parameters(model),
        "notes": notes,
    }
