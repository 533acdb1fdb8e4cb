"""The held-out rows on which teacher and student differ most."""

import numpy as np

from crild.reporting.page import Part, Table, words
from crild.run.sections.seen import Seen, spelled, texts

MOST = 500  # rows
RIGHT = {
    (True, False): ("teacher-alone", "the teacher alone is right"),
    (False, True): ("student-alone", "the student alone is right"),
    (False, False): ("neither", "neither is right"),
    (True, True): ("both", "both are right"),
}
"""Class and name of a row, by whether the teacher and whether the student is right."""


def differing(seen: Seen) -> tuple[Part, ...]:
    """Return how often the two differ, and the rows, the farthest apart first, to be searched."""
    if seen.student is None:
        return ()
    frame, answered, distance = seen.rows.held_out, *apart(seen)
    order = np.lexsort((-distance, -answered))[:MOST]
    judged = seen.has_labels and seen.has_classes
    right = [seen.rows.task_type.apart(seen.answers[role], seen.truth) == 0 for role in ("teacher", "student")]
    columns = ("label", "teacher", "student") if seen.has_labels else ("teacher", "student")
    rows = tuple(
        (texts(row), *(spelled(row[name]) for name in columns), round(float(distance[i]), 4))
        for i, row in ((i, frame.iloc[i]) for i in order)
    )
    kinds = tuple(RIGHT[bool(right[0][i]), bool(right[1][i])][0] for i in order) if judged else ()
    choices = dict(RIGHT.values()) if judged else {}
    whole = (
        "" if len(order) == len(frame) else f" {len(order)} of {len(frame)} rows; predictions.parquet has all of them."
    )
    note = f"Difference: {measured(seen)}; other answers first, then the farthest apart.{whole}"
    count = int((answered > 0).sum())
    said = f"Teacher and student answer {count} of {len(frame)} held-out rows differently ({count / len(frame):.1%})."
    return (
        *words(said if seen.has_classes else ""),
        Table(("text", *columns, "difference"), rows, "", kinds, choices, note),
    )


def apart(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Return how far apart the two answers to each row (n,) are, and their probabilities, if there are any."""
    answered = seen.rows.task_type.apart(seen.answers["student"], seen.answers["teacher"])
    ours, theirs = (seen.rows.probabilities(seen.rows.held_out, role) for role in ("student", "teacher"))
    if ours is None or theirs is None:
        return np.zeros(len(answered)), answered
    distance = np.abs(ours - theirs)
    return answered, distance.mean(-1) if seen.truth.ndim == 2 else distance.sum(-1) / 2


def measured(seen: Seen) -> str:
    """Return what the distance is."""
    if not seen.has_classes:
        return "of the two numbers"
    return "mean over labels of that of the probabilities" if seen.truth.ndim == 2 else (
        "share of probability that the two give to other labels")  # fmt: skip
