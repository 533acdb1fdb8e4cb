"""What an export costs and saves: answers and times of a model before and after, on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.metrics import paired_interval
from crild.models.architecture import model_inputs
from crild.run.classifier import Classifier
from crild.serving.int8 import distance
from crild.serving.rows import ScoredRows
from crild.serving.session import Session, Text
from crild.serving.timing import Prepare, Times, time_models
from crild.tasks.base import TaskType

BATCHES = (1, 32)


@dataclass(frozen=True)
class Compared:
    """How the answers of an exported model differ from those of the model before.

    Attributes:
        before, after: scores.
        interval: 95 %, of the difference ``after`` less ``before``, paired by row.
        agreement: of the two, in the task type's measure.
        largest: absolute difference of logits.
        rms: root mean square of these differences.
    """

    before: float
    after: float
    interval: tuple[float, float]
    agreement: float
    largest: float
    rms: float

    @property
    def lost(self) -> float:
        """Score."""
        return self.before - self.after


def compare(task_type: TaskType, rows: ScoredRows, logits: np.ndarray, others: np.ndarray) -> Compared:
    """Return how ``others``, logits (n, C) of the same rows, differ from ``logits``."""
    before, after = task_type.answers(logits), task_type.answers(others)
    agreement = task_type.find_metric(task_type.agreement, logits.shape[1])
    return Compared(
        before=rows.measure(rows.truth, before),
        after=rows.measure(rows.truth, after),
        interval=paired_interval(rows.measure, rows.truth, after, before),
        agreement=agreement(before, after),
        largest=float(np.abs(logits - others).max()),
        rms=distance(logits, others),
    )


def measure_times(
    classifiers: Mapping[str, Classifier], sessions: Mapping[str, Session], rows: ScoredRows, length: int
) -> dict[int, dict[str, Times]]:
    """Return how long PyTorch models and exported ones take, by batch size and name; tokenising is not timed.

    Args:
        classifiers, sessions: by name.
        rows: texts.
        length: tokens kept of one.
    """
    models = {name: in_torch(each, rows, length) for name, each in classifiers.items()}
    texts = rows.texts
    models |= {name: served(session, texts) for name, session in sessions.items()}
    first = next(iter(classifiers.values()))
    lengths = tokenise(rows.rows, first.tokenizer, length)["length"][:]
    return {batch_size: time_models(models, lengths, batch_size) for batch_size in BATCHES}


def in_torch(classifier: Classifier, rows: ScoredRows, length: int) -> Prepare:
    """Return what answers rows by PyTorch."""
    model = classifier.model.eval()
    tokenised = tokenise(rows.rows, classifier.tokenizer, length).remove_columns("labels")
    collate = Collator(classifier.tokenizer)

    def prepare(chosen):  # type: ignore[no-untyped-def]
        inputs = model_inputs(collate([tokenised[i] for i in chosen]), model)

        @torch.inference_mode()
        def call() -> object:
            return model(**inputs).logits.numpy()

        return call

    return prepare


def served(session: Session, texts: list[Text]) -> Prepare:
    """Return what answers rows by an exported file."""

    def prepare(chosen):  # type: ignore[no-untyped-def]
        inputs = session.encode([texts[i] for i in chosen])
        return lambda: session.run(inputs)

    return prepare
