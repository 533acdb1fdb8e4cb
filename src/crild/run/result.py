"""What a run found: typed, printable, and as ``result.json``."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Scores:
    """How one model did on the validation rows, and what it costs; what does not apply is ``None``.

    Attributes:
        score: on the first validation split, in the result's metric.
        interval: 95 %, bootstrap over rows.
        scores: every metric that applies.
        also: the same three for further validation splits, by name.
        parameters: their number.
        layers: Transformer layers.
        bytes: of the saved weights.
        latency_ms: median milliseconds for one row at batch 1; models of a run take turns.
        path: where it is saved.
        init: where a student's weights came from.
        fine_tuned_here: whether the run fine-tuned this teacher.
        best_validation: the best validation score of all evaluations, which is optimistic.
    """

    score: float
    interval: tuple[float, float]
    scores: dict[str, float]
    also: dict[str, Any] | None = None
    parameters: int | None = None
    layers: int | None = None
    bytes: int | None = None
    latency_ms: float | None = None
    path: str | None = None
    init: str | None = None
    fine_tuned_here: bool | None = None
    best_validation: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; what does not apply is left out."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: value for name, value in (values | {"interval": list(self.interval)}).items() if value is not None
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Scores":
        """Return the scores of plain values."""
        return cls(**{**values, "interval": tuple(values["interval"])})


MODELS = ("teacher", "control", "student")


@dataclass(frozen=True)
class Result(Mapping[str, Any]):
    """The outcome of a run. It also reads as the dictionary that ``result.json`` holds: ``result["student"]["score"]``.

    Attributes:
        task: GLUE's name, or the task type's.
        kind: the task type.
        metric: of all scores.
        labels: class names.
        max_length: tokens kept of a row.
        rows: how many of each split.
        seed: of training.
        notes: what the user should know.
        models: scores of ``teacher``, and in a distillation of ``control`` (the same student without a teacher; perhaps
            ``None``) and ``student``.
        selection: score and metric on the rows that every choice was made on.
        constant: the score of whoever always gives the same answer.
        minutes: of all starts together.
        distillation: method, schedule, features, layer map and student; ``None`` for a fine-tuning.
    """

    task: str
    kind: str
    metric: str
    labels: list[str]
    max_length: int
    rows: dict[str, int]
    seed: int
    notes: list[str]
    models: dict[str, Scores | None]
    selection: dict[str, Any]
    constant: float | None
    minutes: float
    distillation: dict[str, Any] | None = field(default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``result.json`` holds."""
        plain = ("task", "kind", "metric", "labels", "max_length", "rows", "seed", "notes")
        out: dict[str, Any] = {name: getattr(self, name) for name in plain} | (self.distillation or {})
        out |= {name: scores.to_dict() if scores else None for name, scores in self.models.items()}
        constant = None if self.constant is None else {"score": self.constant}
        return out | {"selection": self.selection, "constant": constant, "minutes": self.minutes}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Result":
        """Return the result that ``result.json`` holds."""
        plain = ("task", "kind", "metric", "labels", "max_length", "rows", "seed", "notes", "selection", "minutes")
        models = {name: Scores.of(values[name]) if values[name] else None for name in MODELS if name in values}
        known = {*plain, *MODELS, "constant"}
        distillation = {name: value for name, value in values.items() if name not in known}
        return cls(
            **{name: values[name] for name in plain},
            models=models,
            constant=(values.get("constant") or {}).get("score"),
            distillation=distillation or None,
        )

    def to_json(self) -> str:
        """Return the text of ``result.json``."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())
