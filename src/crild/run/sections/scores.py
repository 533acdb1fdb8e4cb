"""What each model scores and costs, and what of that is more than luck."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from crild.metrics import Difference
from crild.reporting.figures import Costed, score_and_latency
from crild.reporting.page import Cell, Figure, Part, Table, Told, words
from crild.run.picture import costed
from crild.run.result import Scores
from crild.run.sections.seen import Seen, called

NOTE = (
    "Low and high: 95 % bootstrap interval over rows. Differences are paired: all models are scored on the same drawn "
    "rows, so that what is hard for all of them cancels; in points, hundredths of a score. Milliseconds: one row at a "
    "time. The student without a teacher costs what the student costs."
)
HEADINGS = ("kept, %", "to teacher, points", "95 % of that", "M parameters", "MB", "ms")


def scores(seen: Seen) -> tuple[Part, ...]:
    """Return the table of all models, what their differences say, and the picture of score and latency."""
    rows: list[tuple[Cell, ...]] = [line(seen, role) for role in seen.models]
    kinds = list(seen.models)
    if seen.run.export and seen.student:
        rows.append(served_line(seen, seen.student, seen.run.export))
        kinds.append("served")
    if seen.result.constant is not None:
        constant = seen.result.constant
        rows.append(("always the same answer", share(constant), None, None, kept(seen, constant), *[None] * 5))
        kinds.append("constant")
    headings = ("model", seen.result.metric, "low", "high", *HEADINGS)
    title = f"{seen.result.metric} on {seen.result.rows['validation']} held-out rows"
    names = list(seen.teacher.scores)
    every = tuple((called(role), *(share(of.scores.get(name)) for name in names)) for role, of in seen.models.items())
    return (
        Table(headings, tuple(rows), title, tuple(kinds), note=NOTE),
        *words(*verdicts(seen)),
        *latency(seen),
        *words(*(f"Note: {each}." for each in seen.result.notes)),
        *([Table(("model", *names), every, "Every metric")] if len(names) > 1 else []),
        *further_splits(seen),
    )


def line(seen: Seen, role: str) -> tuple[Cell, ...]:
    """Return a model's line of the table."""
    of = seen.models[role]
    costs = seen.student if role == "control" and seen.student else of
    difference = apart(seen.differences.get((role, "teacher")))
    return (called(role), share(of.score), *map(share, of.interval), kept(seen, of.score), *difference,
            millions(costs.parameters), millions(costs.bytes), costs.latency_ms)  # fmt: skip


def served_line(seen: Seen, student: Scores, export: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return the line of what `crild export` made of the student; its difference is to the student, in a sentence."""
    name = f"served, {export['format']}{' int8' if export.get('scheme') else ''}"
    return (name, share(export["score_after"]), None, None, kept(seen, export["score_after"]), None, None,
            millions(student.parameters), millions(export["bytes"]), served_ms(student, export))  # fmt: skip


def kept(seen: Seen, score: float) -> float | None:
    """Return a score as a percentage of the teacher's."""
    return round(100 * score / seen.teacher.score, 1) if seen.teacher.score > 0 else None


def share(value: float | None) -> Cell:
    """Return a score with as many digits as everywhere."""
    return None if value is None else Told(f"{value:.4f}", value)


def apart(difference: Difference | None) -> tuple[Cell, Cell]:
    """Return a difference in points, and its interval."""
    if difference is None:
        return None, None
    return round(100 * difference.value, 2), f"{100 * difference.low:+z.1f} to {100 * difference.high:+z.1f}"


def millions(value: float | None) -> float | None:
    """Return a number in millions."""
    return value and value / 1e6


def served_ms(student: Scores, export: Mapping[str, Any]) -> float | None:
    """Return how long the served model takes for a row: the student's time in the run, times what the export saved.

    The export timed both in turns, at another time than the run: the quotient is what can be compared.
    """
    models = export["models"]
    if not student.latency_ms or "before" not in models:
        return None
    served, before = (np.mean(list(models[name]["latency_ms"].values())) for name in ("served", "before"))
    return float(student.latency_ms * served / before)


def verdicts(seen: Seen) -> list[str]:
    """Return what the paired differences say, a sentence each."""
    if seen.student is None:
        return []
    lines = [f"The student is {seen.differences['student', 'teacher'].verdict('its teacher')} (95 %)."]
    if "control" in seen.models:
        told = seen.differences["student", "control"]
        lines.append(
            f"What distilling was worth: {100 * told.value:+z.1f} points. The student is "
            f"{told.verdict('the same student without a teacher')} (95 %)."
        )
    if export := seen.run.export:
        low, high = export["difference_interval"]
        served = Difference(export["difference"], low, high).verdict("the student in PyTorch")
        lines.append(f"Served, it is {served} (95 %), on {export['rows']} rows.")
    return lines


def latency(seen: Seen) -> tuple[Figure, ...]:
    """Return score against latency; nothing where nobody measured that."""
    student, export, note = seen.student, seen.run.export, ""
    models = costed(seen.result)
    if student is None or not models:
        return ()
    if export and (ms := served_ms(student, export)):
        low, high = (student.score + each for each in export["difference_interval"])
        models.append(Costed("served", "served", export["score_after"], low, high, ms, export["bytes"]))
        note = "Served: the student's latency, times what the export saved; the interval is that of its difference."
    return (score_and_latency(models, seen.result.metric, note),)


def further_splits(seen: Seen) -> list[Table]:
    """Return the scores on further validation splits."""
    rows = tuple(
        (called(role), split, share(report["score"]), *map(share, report["interval"]))
        for role, of in seen.models.items()
        for split, report in (of.also or {}).items()
    )
    return [Table(("model", "split", seen.result.metric, "low", "high"), rows, "Further splits")] if rows else []
