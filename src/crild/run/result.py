"""What a run found: typed, printable, and as ``result.json``."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import PositiveInt, TypeAdapter

from crild.errors import CrildError
from crild.shown import Shown

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel


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
        vocabulary: of a trimmed one: the tokens ``kept`` and ``before``, and the share of the tokens of the validation
            rows that is ``split_further``.
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
    vocabulary: dict[str, int | float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; what does not apply is left out."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: value for name, value in (values | {"interval": list(self.interval)}).items() if value is not None
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Scores":
        """Return the scores of plain values.

        Raises:
            ValueError: they are none.
        """
        return TypeAdapter(cls).validate_python(values)


PLAIN: dict[str, Any] = {  # what is in ``result.json`` as it is
    "task": str, "kind": str, "metric": str, "labels": list[str] | None, "max_length": PositiveInt,
    "rows": dict[str, int], "seed": int, "notes": list[str], "selection": dict[str, Any], "minutes": float,
}  # fmt: skip
MODELS = ("teacher", "control", "student")
CALLED = {"control": "student without teacher"}
COSTS = ("parameters", "bytes", "latency_ms")


class Opened(Protocol):
    """A finished run's folder, see `crild.RunFolder`."""

    @property
    def predictions(self) -> "pd.DataFrame":
        """Every scored row."""

    @property
    def teacher(self) -> "PreTrainedModel":
        """The teacher."""

    @property
    def student(self) -> "PreTrainedModel":
        """The student."""


@dataclass(frozen=True, repr=False)
class Result(Shown, Mapping[str, Any]):
    """The outcome of a run. It also reads as the dictionary that ``result.json`` holds: ``result["student"]["score"]``.

    It prints as a table. ``folder`` is the run's `RunFolder`; ``predictions``, ``teacher`` and ``student`` are read
    from it when first asked for.

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
        run: its folder.
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
    distillation: dict[str, Any] | None = None
    run: Opened | None = field(default=None, compare=False)

    @property
    def folder(self) -> Opened:
        """The run's folder.

        Raises:
            CrildError: the result was read from elsewhere.
        """
        if self.run is None:
            raise CrildError("this result came without its run's folder: open that with crild.RunFolder.open(path)")
        return self.run

    @property
    def predictions(self) -> "pd.DataFrame":
        """Every scored row, see `RunFolder.predictions`."""
        return self.folder.predictions

    @property
    def teacher(self) -> "PreTrainedModel":
        """The teacher, loaded."""
        return self.folder.teacher

    @property
    def student(self) -> "PreTrainedModel":
        """The student, loaded.

        Raises:
            CrildError: there is none, or its weights were not kept.
        """
        return self.folder.student

    @property
    def title(self) -> str:
        """Task, metric, rows and method."""
        method = f", {self.distillation['method']}" if self.distillation else ""
        return f"{self.task}{method}: {self.metric} on {self.rows['validation']} validation rows"

    @property
    def remarks(self) -> list[str]:
        """The notes."""
        return self.notes

    def table(self) -> "pd.DataFrame":
        """Return ``score``, its interval (``low``, ``high``), ``of_teacher``, and costs, a line for each model.

        The last line is whoever always gives the same answer. Parameters are a number, latency is in milliseconds.
        """
        import pandas as pd

        found = {name: scores for name in MODELS if (scores := self.models.get(name)) is not None}
        lines: dict[str, dict[str, Any]] = {
            CALLED.get(name, name): {"score": each.score, "low": each.interval[0], "high": each.interval[1]}
            | {cost: getattr(each, cost) for cost in COSTS}
            for name, each in found.items()
        }
        if self.constant is not None:
            lines["always the same answer"] = {"score": self.constant}
        table = pd.DataFrame.from_dict(lines, orient="index", columns=["score", "low", "high", *COSTS])
        best = found["teacher"].score
        table.insert(3, "of_teacher", table["score"] / best if best > 0 else None)
        return table.astype(float).dropna(axis="columns", how="all")

    def to_dict(self) -> dict[str, Any]:
        """Return what ``result.json`` holds."""
        plain = ("task", "kind", "metric", "labels", "max_length", "rows", "seed", "notes")
        out: dict[str, Any] = {name: getattr(self, name) for name in plain} | (self.distillation or {})
        out |= {name: scores.to_dict() if scores else None for name, scores in self.models.items()}
        constant = None if self.constant is None else {"score": self.constant}
        return out | {"selection": self.selection, "constant": constant, "minutes": self.minutes}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Result":
        """Return the result that ``result.json`` holds.

        Raises:
            LookupError, TypeError, ValueError: the values are none of a result.
        """
        models = {name: Scores.of(values[name]) if values[name] else None for name in MODELS if name in values}
        if models.get("teacher") is None:
            raise ValueError("there are no scores of a teacher")
        known = {*PLAIN, *MODELS, "constant"}
        distillation = {name: value for name, value in values.items() if name not in known}
        return cls(
            **{name: TypeAdapter(kind).validate_python(values[name]) for name, kind in PLAIN.items()},
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


@dataclass(frozen=True, repr=False)
class Evaluation(Shown, Mapping[str, Any]):
    """The scores of one model on some rows. It also reads as a dictionary: ``evaluation["score"]``.

    Attributes:
        task: GLUE's name, or the task type's.
        metric: of the score.
        score: in it.
        interval: 95 %, bootstrap over rows.
        scores: every metric that applies.
        rows: how many were scored.
        parameters: of the model, their number.
        notes: what the user should know.
        model: its folder or hub name; of one in memory, what it is.
        predictions: the scored rows: ``row`` (number in the data, from 0), the texts, ``label``, ``answer`` and, where
            there are classes, ``answer_probability_CLASS`` for each; of a second model ``compared`` and so on.
        labels: the classes; ``None`` where there are none, as below.
        classes: ``label``, ``precision``, ``recall``, ``f1`` and ``rows`` of each.
        confusion: with one class a row: rows of each class (a line) by answer (a column).
        compare: the other model's ``score``, ``interval`` and ``scores``; ``difference`` (this model's score less the
            other's) and its paired ``difference_interval``; their ``agreement`` in ``agreement_metric``; how many rows
            ``differ``, and ``examples`` of them, the farthest apart first. ``None`` where there is no other.
    """

    task: str
    metric: str
    score: float
    interval: list[float]
    scores: dict[str, float]
    rows: int
    parameters: int
    notes: list[str]
    model: str
    predictions: "pd.DataFrame" = field(compare=False)
    labels: list[str] | None = None
    classes: list[dict[str, Any]] | None = None
    confusion: list[list[int]] | None = None
    compare: dict[str, Any] | None = None

    @property
    def title(self) -> str:
        """Task, metric and rows."""
        return f"{self.task}: {self.metric} {self.score:.4f} on {self.rows} rows, {self.parameters} parameters"

    @property
    def remarks(self) -> list[str]:
        """The notes."""
        return self.notes

    def table(self) -> "pd.DataFrame":
        """Return every metric, the score's own first and with its interval (``low``, ``high``)."""
        import pandas as pd

        first = {self.metric: {"score": self.score, "low": self.interval[0], "high": self.interval[1]}}
        others = {name: {"score": value} for name, value in self.scores.items() if name != self.metric}
        return pd.DataFrame.from_dict(first | others, orient="index", columns=["score", "low", "high"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: without the predictions, and without what does not apply."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "predictions"}
        return {name: value for name, value in plain.items() if value is not None}

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())
