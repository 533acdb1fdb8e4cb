"""What an export costs and saves: answers and times of a model before and after, on the same rows."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.inference import bytes_on_disk, parameters
from crild.metrics import paired_interval
from crild.models.architecture import model_inputs
from crild.run.classifier import Classifier
from crild.serving.result import Cost
from crild.serving.rows import ScoredRows
from crild.serving.session import Session, Text
from crild.serving.timing import Prepare, Times, time_models
from crild.tasks.base import TaskType

BATCHES = (1, 32)
ONE_ERROR = 0.683  # level of an interval of one standard error to each side


@dataclass(frozen=True)
class Compared:
    """How a model's answers differ from those of the model that it was made from.

    Attributes:
        before, after: scores.
        agreement: of the two, in the task type's measure.
        largest: absolute difference of logits.
        rms: root mean square of the logits' differences.
        error: standard error of the scores' difference, paired by row.
    """

    before: float
    after: float
    agreement: float
    largest: float
    rms: float
    error: float

    @property
    def lost(self) -> float:
        """Score; what is lost in binary fractions alone is not."""
        return round(self.before - self.after, 9)

    @property
    def surely_lost(self) -> float:
        """What is lost less one standard error: a row or two among a hundred are no loss."""
        return self.lost - self.error


def compare(task_type: TaskType, rows: ScoredRows, logits: np.ndarray, others: np.ndarray) -> Compared:
    """Return how ``others``, logits (n, C) of the same rows, differ from ``logits``."""
    before, after = task_type.answers(logits), task_type.answers(others)
    differences = np.abs(logits.astype(np.float64) - others)
    low, high = paired_interval(rows.measure, rows.truth, after, before, ONE_ERROR)
    return Compared(
        before=rows.measure(rows.truth, before),
        after=rows.measure(rows.truth, after),
        agreement=task_type.find_metric(task_type.agreement, logits.shape[1])(before, after),
        largest=float(differences.max()),
        rms=float(np.sqrt(np.mean(differences**2))),
        error=(high - low) / 2,
    )


def measure_times(
    classifiers: Mapping[str, Classifier], session: Session, rows: ScoredRows, length: int
) -> dict[int, dict[str, Times]]:
    """Return how long PyTorch models and the exported one (``served``) take, by batch size and name.

    Tokenising is not timed: it is the same for all.

    Args:
        classifiers: by name, the one that was exported among them.
        session: the exported one.
        rows: texts.
        length: tokens kept of one.
    """
    models = {name: in_torch(each, rows, length) for name, each in classifiers.items()}
    models["served"] = in_session(session, rows.texts)
    tokenised = tokenise(rows.rows, classifiers["before"].tokenizer, length)
    return {batch_size: time_models(models, tokenised["length"][:], batch_size) for batch_size in BATCHES}


def in_torch(classifier: Classifier, rows: ScoredRows, length: int) -> Prepare:
    """Return what answers rows by PyTorch."""
    model, collate = classifier.model, Collator(classifier.tokenizer)
    tokenised = tokenise(rows.rows, classifier.tokenizer, length).remove_columns("labels")

    def prepare(chosen: Sequence[int]) -> Callable[[], object]:
        inputs = model_inputs(collate([tokenised[i] for i in chosen]), model)

        def call() -> object:
            with torch.inference_mode():
                return model(**inputs).logits.numpy()

        return call

    return prepare


def in_session(session: Session, texts: Sequence[Text]) -> Prepare:
    """Return what answers rows by an exported file."""

    def prepare(chosen: Sequence[int]) -> Callable[[], object]:
        inputs = session.encode([texts[i] for i in chosen])
        return lambda: session.run(inputs)

    return prepare


def cost(size: int, score: float | None, one: Times, many: Times) -> Cost:
    """Return what a model costs, from its bytes and its times at batch 1 and 32."""
    return Cost(
        bytes=size,
        latency_ms={kind: 1000 * seconds for kind, seconds in asdict(one).items()},
        throughput={kind: BATCHES[1] / seconds for kind, seconds in asdict(many).items()},
        score=score,
    )


def weights_of(classifier: Classifier) -> int:
    """Return the bytes of a PyTorch model's weights in files; of one on the hub, in fp32."""
    return bytes_on_disk(Path(classifier.path)) or 4 * parameters(classifier.model)


def processor() -> str:
    """Return what times are measured on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
