"""What an export found: typed, printable, and as ``export.json``."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from crild.run.cascade import Cascade
from crild.shown import Shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cost:
    """One model: what it costs, and perhaps its score on the reported rows.

    Attributes:
        bytes: of its weights in files.
        latency_ms: median milliseconds of one row at batch 1, over the shorter and the longer half of the rows.
        throughput: rows a second at batch 32, likewise.
        score: on the rows.
    """

    bytes: int
    latency_ms: dict[str, float]
    throughput: dict[str, float]
    score: float | None = None


@dataclass(frozen=True)
class Vocabulary:
    """A trimmed vocabulary.

    Attributes:
        kept: tokens.
        before: tokens that there were.
        split_further: share of the tokens of the reported rows that are read in pieces now, or no longer known.
        score: of the trimmed model in PyTorch, on these rows.
    """

    kept: int
    before: int
    split_further: float
    score: float


@dataclass(frozen=True, repr=False)
class Export(Shown, Mapping[str, Any]):
    """An exported model and its proof. It also reads as a dictionary: ``exported["speedup_batch1"]``.

    Attributes:
        path: of the folder.
        model: what was exported: a folder, a hub name, of one in memory what it is.
        format, quantize: as asked for.
        scheme: of the quantisation, in words; ``None`` in fp32.
        task_type: what the model does.
        metric: of the scores.
        rows: that are reported on.
        score_before, score_after: of the PyTorch model, and of the exported one.
        difference: ``score_after`` less ``score_before``.
        difference_interval: 95 %, paired by row.
        agreement: of the two models' answers, in ``agreement_metric``.
        largest_difference: of any logit.
        fp32_difference: the largest between the exported model in fp32 and the PyTorch model with the same vocabulary;
            where it is quantised, on the selection rows.
        bytes_before, bytes: of the weights.
        speedup_batch1, speedup_batch32: time of the PyTorch model over that of the exported one, means over short and
            long texts.
        teacher_bytes, teacher_speedup_batch1, teacher_speedup_batch32: the same of a run's teacher in PyTorch; ``None``
            without one.
        threads: of every model.
        processor: that times were taken on.
        models: costs of ``teacher``, ``before`` and ``served``.
        schemes: that were tried, and how they did on the selection rows.
        fp32_file: kept beside an int8 file that loses more than the tolerance.
        vocabulary: where it is trimmed.
        temperature: that logits are divided by, so that confidences fit the selection rows; 1 where there are none.
        cascade: of a run's student with its teacher behind it, on the run's own rows; ``None`` without a teacher.
        notes: what the user should know.
    """

    path: str
    model: str
    format: str
    quantize: str
    scheme: str | None
    task_type: str
    metric: str
    rows: int
    score_before: float
    score_after: float
    difference_interval: tuple[float, float]
    agreement: float
    agreement_metric: str
    largest_difference: float
    fp32_difference: float
    bytes_before: int
    bytes: int
    threads: int
    processor: str
    models: dict[str, Cost]
    speedup_batch1: float
    speedup_batch32: float
    teacher_bytes: int | None = None
    teacher_speedup_batch1: float | None = None
    teacher_speedup_batch32: float | None = None
    schemes: tuple[dict[str, Any], ...] = ()
    fp32_file: str | None = None
    vocabulary: Vocabulary | None = None
    temperature: float = 1.0
    cascade: Cascade | None = None
    notes: tuple[str, ...] = ()

    @property
    def difference(self) -> float:
        """The score after less that before."""
        return self.score_after - self.score_before

    @property
    def lost_to_int8(self) -> float:
        """Score that quantising alone lost."""
        return round((self.vocabulary.score if self.vocabulary else self.score_before) - self.score_after, 9)

    @property
    def title(self) -> str:
        """What it is, and where."""
        return f"{self.path}: {self.metric} on {self.rows} rows"

    @property
    def remarks(self) -> list[str]:
        """The notes."""
        return list(self.notes)

    def table(self) -> "pd.DataFrame":
        """Return score, bytes, latency at batch 1 and throughput at batch 32, a line for each model."""
        import pandas as pd

        lines = {
            name: {"score": each.score, "bytes": each.bytes}
            | {f"ms_{kind}": value for kind, value in each.latency_ms.items()}
            | {f"rows_a_second_{kind}": value for kind, value in each.throughput.items()}
            for name, each in self.models.items()
        }
        return pd.DataFrame.from_dict(lines, orient="index").astype(float)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``export.json`` holds: plain values, without what does not apply."""
        values = asdict(self) | {"difference": self.difference}
        values["models"] = {
            name: {k: v for k, v in each.items() if v is not None} for name, each in values["models"].items()
        }
        return {name: value for name, value in values.items() if value is not None}

    def to_json(self) -> str:
        """Return the text of ``export.json``."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Export":
        """Return what ``export.json`` holds."""
        known = {each.name for each in fields(cls)}
        plain = {name: value for name, value in values.items() if name in known}
        if "cascade" in plain:
            plain["cascade"] = Cascade(**plain["cascade"])
        if "vocabulary" in plain:
            plain["vocabulary"] = Vocabulary(**plain["vocabulary"])
        return cls(
            **{"scheme": None} | plain | {"models": {name: Cost(**each) for name, each in values["models"].items()}}
        )

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())
