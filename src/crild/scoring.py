"""`evaluate` and `predict`: what a saved classifier answers to the rows of a data source, and how right that is."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from crild import inference
from crild.config import EvaluateConfig, PredictConfig, takes
from crild.data.task import load_unlabelled
from crild.errors import CrildError
from crild.files import write_frame
from crild.metrics import paired_interval
from crild.paths import refuse_answers
from crild.randomness import own_random_state
from crild.run.classifier import Classifier, load_classifier, rows_to_score
from crild.run.objects import configured
from crild.run.result import Evaluation
from crild.run.targets import Target
from crild.tasks.labels import align_labels, is_generic

EXAMPLES = 10  # rows that are shown


@takes(EvaluateConfig)
@own_random_state()
def evaluate(
    config: EvaluateConfig | None = None, *, tokenizer: PreTrainedTokenizerBase | None = None, **options: Any
) -> Evaluation:
    """Score a classifier on the validation split of a data source (on all rows of a single file).

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `EvaluateConfig`, for instance ``model="runs/tweets", data="tweets.csv"``. ``model`` and
            ``compare`` may be transformers models, ``data`` and ``validation`` rows in memory, as in `crild.distill`.

    Returns:
        The scores, each class's, every row's answer and, with ``compare``, how the two models differ.

    Raises:
        CrildError: model or data cannot be used.
    """
    with (
        TemporaryDirectory(prefix="crild-") as folder,
        configured(EvaluateConfig, config, options, tokenizer, lambda _: Path(folder)) as (whole, objects),
    ):
        found = score(whole)
    other = found.compare and {**found.compare, "model": objects.get("compare", found.compare["model"])}
    return replace(found, model=objects.get("model", found.model), compare=other)


def score(config: EvaluateConfig) -> Evaluation:
    """Score as a configuration says; see `evaluate`."""
    if not config.model:
        raise CrildError("the model is missing: crild evaluate MODEL --data PATH")
    if config.predictions:
        refuse_answers("--predictions", config.predictions, config.overwrite)
    ours = load_classifier(config.model, "model", config)
    other = load_classifier(config.compare, "compare", config) if config.compare else None
    task_type = ours.task_type
    found = rows_to_score(ours, config)
    if found.target is None:
        raise CrildError(f"{config.data} has no labels to score against (--label names the column)")
    task, rows, target, notes = found.task, found.rows, found.target, list(found.notes)
    logits = ours.logits(rows, config.max_length, task.max_length)
    labels = task_type.spelled(target.truth, ours.names)
    columns = texts_frame(rows) | {"label": labels} | ours.columns("answer", logits)
    if other is not None:
        theirs, note = in_order_of(ours, other, other.logits(rows, config.max_length, task.max_length))
        notes += [note] if note else []
        columns |= ours.columns("compared", theirs)
    frame = pd.DataFrame(columns)
    comparison = None
    if other is not None:
        comparison = {"model": other.path, **compared(target, logits, theirs, frame)}
    if config.predictions:
        write_frame(Path(config.predictions), frame)
    return Evaluation(
        task=task.name,
        metric=task.metric,
        **target.report(logits),
        rows=len(rows),
        parameters=inference.parameters(ours.model),
        notes=notes,
        model=ours.path,
        labels=ours.names if task_type.named else None,
        **task_type.by_class(target.truth, target.answers(logits), ours.names),
        compare=comparison,
        predictions=frame,
    )


def in_order_of(ours: Classifier, other: Classifier, logits: np.ndarray) -> tuple[np.ndarray, str]:
    """Return another model's logits with its classes in the order of ours, and a warning or an empty text.

    Raises:
        CrildError: they answer different questions.
    """
    if other.task_type is not ours.task_type or len(other.names) != len(ours.names):
        kinds = [f"{each.task_type.name} into {', '.join(each.names)}" for each in (ours, other)]
        raise CrildError(f"--compare {other.path}: it does {kinds[1]}, and {ours.path} does {kinds[0]}")
    if not ours.task_type.named:
        return logits, ""
    try:
        alignment = align_labels(other.names, is_generic(other.names), ours.names, {})
    except CrildError:
        raise CrildError(
            f"--compare {other.path}: its labels are {', '.join(other.names)}, those of {ours.path} are "
            f"{', '.join(ours.names)}: compare models with the same labels"
        ) from None
    out = np.empty_like(logits)
    out[:, alignment.index] = logits
    return out, f"--compare: {alignment.note}" if alignment.by_index else ""


def compared(target: Target, logits: np.ndarray, theirs: np.ndarray, frame: pd.DataFrame) -> dict[str, Any]:
    """Return how two models that scored the same rows differ."""
    task_type = target.task_type
    answers, others = target.answers(logits), target.answers(theirs)
    report = target.report(theirs)
    apart = task_type.apart(answers, others)
    farthest = np.argsort(-apart, kind="stable")[: min(EXAMPLES, int((apart > 0).sum()))]
    shown = [name for name in ("row", "text", "text_pair", "label", "answer", "compared") if name in frame]
    agreement = task_type.find_metric(task_type.agreement, logits.shape[1])
    return {
        **report,
        "difference": target.score(logits) - report["score"],
        "difference_interval": list(paired_interval(target.measure, target.truth, answers, others)),
        "agreement": agreement(others, answers),
        "agreement_metric": task_type.agreement,
        "differ": int((apart > 0).sum()),
        "examples": frame.iloc[farthest][shown].to_dict("records"),
    }


@takes(PredictConfig)
@own_random_state()
def predict(
    config: PredictConfig | None = None, *, tokenizer: PreTrainedTokenizerBase | None = None, **options: Any
) -> dict[str, Any]:
    """Write a classifier's answer to every row of a data source, which needs no labels.

    The rows are those that `evaluate` scores: the validation split, or all rows of a single file. The file has ``row``
    (its number in the data, from 0: rows without text are left out), the texts, ``answer``, and where there are classes
    ``answer_probability_CLASS`` for each.

    Args:
        config: a whole configuration; or
        tokenizer: of a model that is given as an object.
        options: the fields of `PredictConfig`, for instance ``model="runs/tweets", data="new.csv",
            output="answers.csv"``. ``model`` may be a transformers model, ``data`` rows in memory, as in
            `crild.distill`.

    Returns:
        ``output``, the number of ``rows``, how many of them got each of the ``answers`` (where there are classes),
        ``labels``, ``model`` and ``notes``.

    Raises:
        CrildError: model or data cannot be used, or the file exists.
    """
    with (
        TemporaryDirectory(prefix="crild-") as folder,
        configured(PredictConfig, config, options, tokenizer, lambda _: Path(folder)) as (whole, objects),
    ):
        found = answer(whole)
    return {**found, "model": objects.get("model", found["model"])}


def answer(config: PredictConfig) -> dict[str, Any]:
    """Answer as a configuration says; see `predict`."""
    for name, what in (("model", "crild predict MODEL"), ("output", "--output FILE")):
        if not getattr(config, name):
            raise CrildError(f"the {name} is missing: {what}")
    assert config.model is not None
    assert config.output is not None
    refuse_answers("--output", config.output, config.overwrite)
    classifier = load_classifier(config.model, "model", config)
    rows, notes = load_unlabelled(config, classifier.reads)
    columns = classifier.columns("answer", classifier.logits(rows, config.max_length))
    write_frame(Path(config.output), pd.DataFrame(texts_frame(rows) | columns))
    result = {"output": config.output, "rows": len(rows), "model": classifier.path, "notes": notes}
    if not classifier.task_type.named:
        return result
    answers = pd.Series(columns["answer"]).explode().value_counts()
    counts = {name: int(answers.get(name, 0)) for name in classifier.names}
    return result | {"labels": classifier.names, "answers": counts}


def texts_frame(rows: Dataset) -> dict[str, Any]:
    """Return the columns that say which row it is."""
    return {name: rows[name][:] for name in ("row", "text", "text_pair") if name in rows.column_names}
