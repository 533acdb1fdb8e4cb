"""The models of a run, each answering one text at a time, and how long that takes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crild.config import PredictConfig
from crild.console import warn
from crild.data.batching import Collator
from crild.data.tokenise import encode
from crild.errors import CrildError, first_line
from crild.inference import parameters
from crild.models.architecture import model_inputs
from crild.run.classifier import Classifier, load_classifier
from crild.run.folder import RunFolder
from crild.serving.export import SERVED
from crild.serving.session import ABOUT, Session, Text
from crild.tasks.base import TaskType
from crild.tasks.registry import TASK_TYPES

TIMES, ENOUGH = 5, 0.5  # a text is answered so many times for its latency, or until so many seconds are over


@dataclass(frozen=True)
class Player:
    """A model that answers.

    Attributes:
        name: ``teacher``, ``student`` or ``served``.
        about: what it is, in a few words.
        logits: of one text or pair (C,).
        temperature: that logits are divided by before probabilities are made of them.
    """

    name: str
    about: str
    logits: Callable[[Text], np.ndarray]
    temperature: float = 1.0

    def answer(self, text: Text, task_type: TaskType, labels: Sequence[str]) -> dict[str, Any]:
        """Return ``model``, ``answer``, ``confidence``, ``probabilities`` (by class, in order) and ``ms``.

        A number has neither confidence nor probabilities: they are ``None``. ``ms`` is the median over a few calls,
        tokenising included.
        """
        seconds: list[float] = []
        while len(seconds) < TIMES and sum(seconds) < ENOUGH:
            start = time.perf_counter()
            logits = self.logits(text)
            seconds.append(time.perf_counter() - start)
        row = logits[None]
        (answer,) = task_type.spelled(task_type.answers(row), labels)
        shares, sure = task_type.probabilities(row / self.temperature), task_type.confidence(row / self.temperature)
        return {
            "model": self.name,
            "answer": answer,
            "confidence": None if sure is None else float(sure[0]),
            "probabilities": None if shares is None else dict(zip(labels, shares[0].tolist(), strict=True)),
            "ms": 1000 * float(np.median(seconds)),
        }


@dataclass(frozen=True)
class Players:
    """The models of a run.

    Attributes:
        task_type: what they do.
        labels: their classes.
        pairs: a row is a pair of texts.
        players: teacher first.
    """

    task_type: TaskType
    labels: list[str]
    pairs: bool
    players: tuple[Player, ...]

    def answer(self, text: Text) -> list[dict[str, Any]]:
        """Return what each answers to a text, or to a pair where rows are pairs; see `Player.answer`."""
        return [player.answer(text, self.task_type, self.labels) for player in self.players]


def load_players(run: RunFolder) -> Players:
    """Load those models of a run that are left; of the others a warning is printed.

    Raises:
        CrildError: none is left.
    """
    result, options = run.result, run.options
    config = PredictConfig(trust_remote_code=options["trust_remote_code"], revision=options["revision"])
    places = {"teacher": run.teacher_path} | ({"student": run.model("student")} if "student" in result else {})
    players = []
    for name, path in places.items():
        try:
            classifier = load_classifier(str(path), name, config)
        except CrildError as error:
            warn(str(error))
            continue
        about = (
            f"{classifier.model.config.num_hidden_layers} layers, {parameters(classifier.model) / 1e6:.1f} M parameters"
        )
        players.append(Player(name, about, by_torch(classifier, result.max_length)))
    if not players:
        raise CrildError(f"{run.path}: none of its models is left to answer")
    if (run.path / SERVED / ABOUT).exists():
        try:
            players.append(served(run.path / SERVED))
        except Exception as error:  # whatever a runtime raises: the other models answer without it
            warn(f"{run.path / SERVED} is not opened: {first_line(error)}")
    pairs = "text_pair" in run.predictions.columns
    return Players(TASK_TYPES[result.kind], result.labels, pairs, tuple(players))


def by_torch(classifier: Classifier, length: int) -> Callable[[Text], np.ndarray]:
    """Return a function from a text to a PyTorch model's logits (C,); nothing of the text is kept anywhere."""
    model, tokenizer, length = classifier.model.eval(), classifier.tokenizer, classifier.length(length)
    collate = Collator(tokenizer)

    @torch.no_grad()
    def logits(text: Text) -> np.ndarray:
        texts = {"text": [text]} if isinstance(text, str) else {"text": [text[0]], "text_pair": [text[1]]}
        row = {name: values[0] for name, values in encode(texts, tokenizer, length, words=False).items()}
        inputs = model_inputs(collate([row | {"labels": None}]), model)
        found: np.ndarray = (
            model(**{name: x.to(model.device) for name, x in inputs.items()}).logits.float().cpu().numpy()
        )
        return found[0]

    return logits


def served(folder: Path) -> Player:
    """Return the model of an export."""
    session = Session(folder, torch.get_num_threads())
    about, temperature = session.about, session.about["temperature"]
    size = sum(file.stat().st_size for file in folder.glob(f"{Path(about['model']).stem}.*")) / 1e6
    text = f"{about['format']} file, {size:.1f} MB"
    if temperature != 1:
        text += f"; confidences at temperature {temperature:.2f}"
    return Player("served", text, lambda text: session.logits([text])[0], temperature)
