"""The cascade: a student that hands the texts of which it is least sure to its teacher, and what that saves."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from crild.calibration import expected_calibration_error, fit_temperature
from crild.errors import CrildError
from crild.metrics import Measure, paired_interval
from crild.run.folder import RunFolder
from crild.run.predictions import RunRows, confidences
from crild.shown import Shown
from crild.tasks.base import TaskType
from crild.tasks.registry import TASK_TYPES

if TYPE_CHECKING:
    import pandas as pd

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Rows:
    """What is known of n rows: the student's logits, the teacher's answers, and the labels.

    Attributes:
        logits: (n, C).
        teacher, truth: (n,), or (n, C) where each class has an answer of its own.
    """

    logits: np.ndarray
    teacher: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Answered:
    """What student and teacher answer to the same n rows.

    Attributes:
        confidence: of the student's answers (n,), from 0 to 1.
        student, teacher: answers (n,) or (n, C).
        truth: labels, in the shape of the answers.
    """

    confidence: np.ndarray
    student: np.ndarray
    teacher: np.ndarray
    truth: np.ndarray

    def mixed(self, handed: np.ndarray) -> np.ndarray:
        """Return the answers: the teacher's where ``handed`` (n,) says so, else the student's."""
        return np.where(handed.reshape(-1, *[1] * (self.student.ndim - 1)), self.teacher, self.student)

    def below(self, threshold: float | None) -> np.ndarray:
        """Return which rows (n,) are handed to the teacher: confidence below the threshold; all without one."""
        return np.ones(len(self.confidence), bool) if threshold is None else self.confidence < threshold


def find_threshold(rows: Answered, measure: Measure) -> float | None:
    """Return the lowest threshold at which the score is not below the teacher's: 0 where the student alone does it,
    ``None`` where only the teacher does.

    A threshold lies halfway between two confidences that occur, so that rounding decides nothing.
    """
    levels = np.unique(rows.confidence)
    least = measure(rows.truth, rows.teacher)
    for threshold in [0.0, *((levels[:-1] + levels[1:]) / 2)]:
        if measure(rows.truth, rows.mixed(rows.below(threshold))) >= least:
            return float(threshold)
    return None


def curve(rows: Answered, measure: Measure, student_ms: float | None, teacher_ms: float | None) -> list[dict[str, Any]]:
    """Return ``share`` (of rows that go to the teacher, the least sure first), ``score`` and ``ms``, for all `SHARES`.

    Every row costs the student's milliseconds, one that is handed on the teacher's besides; ``ms`` is the mean over
    rows, ``None`` where either is.
    """
    order = np.argsort(rows.confidence, kind="stable")
    points = []
    for share in SHARES:
        handed = np.zeros(len(order), bool)
        handed[order[: round(share * len(order))]] = True
        score = measure(rows.truth, rows.mixed(handed))
        points.append({"share": share, "score": score, "ms": cost(share, student_ms, teacher_ms)})
    return points


def cost(share: float, student_ms: float | None, teacher_ms: float | None) -> float | None:
    """Return the mean milliseconds of a row of which this share goes to the teacher too."""
    return None if student_ms is None or teacher_ms is None else student_ms + share * teacher_ms


@dataclass(frozen=True, repr=False)
class Cascade(Shown, Mapping[str, Any]):
    """A student with its teacher behind it. It prints as a table and reads as a dictionary: ``cascade["threshold"]``.

    Temperature and threshold come from the selection rows, everything else is of the held-out rows.

    Attributes:
        metric: of all scores.
        temperature: that the student's logits are divided by.
        calibration_error: expected, of the student's confidences, ``before`` and ``after`` that.
        threshold: below which confidence a text goes to the teacher, so that nothing is lost against the teacher; 0
            where the student alone loses nothing, ``None`` where only the teacher does.
        share: of the held-out rows that go to the teacher then.
        score: of the cascade then; ``student`` and ``teacher`` are those of either alone.
        difference: the cascade's score less the teacher's, with its paired 95 % ``difference_interval`` over rows.
        ms: mean milliseconds of a row then; ``student_ms``, ``teacher_ms`` of either alone; ``None`` if unknown.
        rows: how many the threshold was chosen on (``selection``), and how many were scored (``held_out``).
        curve: score and milliseconds by the share that goes to the teacher, see `curve`.
    """

    metric: str
    temperature: float
    calibration_error: dict[str, float]
    threshold: float | None
    share: float
    score: float
    student: float
    teacher: float
    difference: float
    difference_interval: tuple[float, float]
    ms: float | None
    student_ms: float | None
    teacher_ms: float | None
    rows: dict[str, int]
    curve: list[dict[str, Any]]

    @property
    def title(self) -> str:
        """Metric and rows."""
        return f"student, with its teacher behind it: {self.metric} on {self.rows['held_out']} held-out rows"

    @property
    def remarks(self) -> list[str]:
        """The threshold in words, and what its choice rests on."""
        chosen = f"on the {self.rows['selection']} selection rows"
        errors = self.calibration_error
        worse = ", so it does not carry over to the held-out rows" if errors["after"] > errors["before"] else ""
        lines = [
            f"confidences are of logits divided by {self.temperature:.2f}, fitted {chosen}: expected calibration error "
            f"{errors['before']:.3f} before, {errors['after']:.3f} after{worse}"
        ]
        if self.threshold is None:
            return [*lines, f"no threshold: {chosen} nothing is lost only where every text goes to the teacher"]
        if self.threshold == 0:
            lines.append(f"threshold 0: {chosen} the student alone loses nothing, no text needs to go to the teacher")
        else:
            lines.append(
                f"threshold {self.threshold:.3f}, chosen {chosen} as the lowest at which nothing is lost there: "
                f"{self.share:.0%} of the held-out texts are less sure and go to the teacher"
            )
        low, high = self.difference_interval
        lines.append(
            f"so {self.metric} is {self.score:.4f} here, {self.difference:+.4f} against the teacher's "
            f"(95 % interval {low:+.4f} to {high:+.4f})"
        )
        if self.ms is not None and self.teacher_ms is not None:
            if self.ms < self.teacher_ms:
                saved = f"{self.teacher_ms / self.ms:.1f} times as fast as the teacher alone"
            else:
                saved = "no faster than the teacher alone: use the teacher, or the student alone"
            lines.append(f"a text takes {self.ms:.2f} ms on average, {saved}")
        return lines

    def table(self) -> "pd.DataFrame":
        """Return score and mean milliseconds by the share of texts that go to the teacher; the threshold's row too."""
        import pandas as pd

        points = {f"{point['share']:.0%} to the teacher": point for point in self.curve}
        if self.threshold is not None:
            chosen = {"share": self.share, "score": self.score, "ms": self.ms}
            points[f"confidence below {self.threshold:.3f}"] = chosen
        table = pd.DataFrame.from_dict(points, orient="index", columns=["share", "score", "ms"]).astype(float)
        table["of_teacher_ms"] = table["ms"] / (self.teacher_ms or np.nan)
        return table.dropna(axis="columns", how="all")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"difference_interval": list(self.difference_interval)}

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(each.name for each in fields(self))

    def __len__(self) -> int:
        return len(fields(self))


def cascade_of(
    task_type: TaskType,
    metric: str,
    measure: Measure,
    selection: Rows,
    held_out: Rows,
    student_ms: float | None = None,
    teacher_ms: float | None = None,
) -> Cascade:
    """Return the cascade of a student's logits and a teacher's answers.

    Args:
        task_type: makes answers and confidences of logits; a regression has no confidence.
        metric, measure: of (truth, answers).
        selection: what temperature and threshold are chosen on.
        held_out: what is scored.
        student_ms, teacher_ms: milliseconds of one row.
    """
    temperature = fit_temperature(selection.logits, selection.truth)

    def answered(rows: Rows) -> Answered:
        confidence = task_type.confidence(rows.logits / temperature)
        assert confidence is not None
        return Answered(confidence, task_type.answers(rows.logits), rows.teacher, rows.truth)

    threshold = find_threshold(answered(selection), measure)
    rows = answered(held_out)
    handed = rows.below(threshold)
    answers, share = rows.mixed(handed), float(handed.mean())
    score, teacher = measure(rows.truth, answers), measure(rows.truth, rows.teacher)
    return Cascade(
        metric=metric,
        temperature=temperature,
        calibration_error={
            "before": calibration_error(task_type, held_out.logits, rows.truth),
            "after": calibration_error(task_type, held_out.logits / temperature, rows.truth),
        },
        threshold=threshold,
        share=share,
        score=score,
        student=measure(rows.truth, rows.student),
        teacher=teacher,
        difference=score - teacher,
        difference_interval=paired_interval(measure, rows.truth, answers, rows.teacher),
        ms=cost(share, student_ms, teacher_ms),
        student_ms=student_ms,
        teacher_ms=teacher_ms,
        rows={"selection": len(selection.truth), "held_out": len(rows.truth)},
        curve=curve(rows, measure, student_ms, teacher_ms),
    )


def calibration_error(task_type: TaskType, logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the expected calibration error of answers; where a row answers for each class, every class counts."""
    return expected_calibration_error(*confidences(task_type, logits, truth))


def cascade(run: str | os.PathLike[str] | RunFolder) -> Cascade:
    """Return what a run's student saves with its teacher behind it: score and cost by the share of texts handed on.

    A temperature calibrates the student's confidences, and a threshold says which texts go to the teacher. Both are
    chosen on the selection rows: the threshold is the lowest at which the score there is not below the teacher's. A
    teacher that was trained on those rows looks better there than it is; more texts are handed on then than need be.
    Where rows have no labels, scores are agreement with the teacher. Of several labels a text is as sure as its least
    sure one. Costs are milliseconds at batch 1.

    Args:
        run: a finished distillation, or its folder.

    Raises:
        CrildError: there is no such run, it has no student, or it is a regression, whose answers have no confidence.

    Source: Wang et al. 2018, *IDK Cascades*; the temperature: Guo et al. 2017.

    Example:
        >>> print(crild.cascade("runs/reviews"))
    """
    opened = run if isinstance(run, RunFolder) else RunFolder.open(os.fspath(run))
    result, task_type = opened.result, TASK_TYPES[opened.result.kind]
    if "student" not in result:
        raise CrildError(f"{opened.path}: it fine-tuned a teacher; a cascade needs a run with a student")
    if not task_type.named:
        raise CrildError(f"{opened.path}: a regression has no confidence, so no text can be chosen for the teacher")
    rows = RunRows.of(opened)

    def part(frame: "pd.DataFrame") -> Rows:
        logits = task_type.logits(np.stack(list(frame["student_probabilities"])))
        return Rows(logits, rows.answers(frame, "teacher"), rows.truth(frame))

    times = [scores.latency_ms if (scores := result.models[name]) else None for name in ("student", "teacher")]
    return cascade_of(task_type, rows.metric, rows.measure, part(rows.selection), part(rows.held_out), *times)
