"""How often each label occurs, and labels that look wrong."""

from itertools import pairwise

import numpy as np

from crild.reporting.figures import bars
from crild.reporting.page import Cell, Part, Table, Words
from crild.run.sections.seen import Seen, texts

KINDS = {"training": "also1", "selection": "also2", "held out": "also3"}
SPANS = 10  # of a histogram of numbers
MOST = 30  # labels that look wrong
HEADINGS = ("text", "rows", "label", "rather", "teacher's p(label)", "student's p(label)")


def labels(seen: Seen) -> tuple[Part, ...]:
    """Return the rows of each label by split (of numbers a histogram), and those that look wrong."""
    parts: list[Part] = []
    if counts := label_counts(seen):
        there = {name: kind for name, kind in KINDS.items() if any(name in each for each in counts.values())}
        parts.append(bars("Rows of each label", counts, there, "rows"))
    elif seen.has_labels and not seen.has_classes:
        found, edges = np.histogram(seen.truth, bins=SPANS)
        spans = (f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges))
        histogram = {span: {"rows": float(rows)} for span, rows in zip(spans, found, strict=True)}
        parts.append(bars("Held-out rows by label", histogram, {"rows": "also3"}, "rows"))
    if seen.student and seen.has_labels and seen.rows.task_type.name == "classification":
        parts.append(suspicious(seen))
    return tuple(parts)


def label_counts(seen: Seen) -> dict[str, dict[str, float]]:
    """Return the rows of each label by split; none where labels are numbers, or there are none."""
    if not seen.has_classes:
        return {}
    found: dict[str, dict[str, float]] = {"training": seen.run.facts.get("labels") or {}}
    if seen.has_labels:
        for split, frame in seen.by_split().items():
            found[split] = {**seen.rows.task_type.counts(seen.rows.truth(frame).tolist(), seen.result.labels)}
    counts = {name: {split: of[name] for split, of in found.items() if name in of} for name in seen.result.labels}
    return counts if any(counts.values()) else {}


def suspicious(seen: Seen) -> Part:
    """Return the selection and held-out rows whose label is probably wrong.

    Nobody was trained on these labels, so that the models' probabilities of them are out of sample, as confident
    learning wants them (Northcutt et al. 2021); asked for is that teacher and student agree on another label.
    """
    names = seen.result.labels
    found: list[tuple[float, tuple[Cell, ...]]] = []
    for split, frame in seen.by_split().items():
        truth = seen.rows.truth(frame).astype(int)
        teacher, student = (seen.rows.probabilities(frame, role) for role in ("teacher", "student"))
        assert teacher is not None
        assert student is not None
        rather = teacher.argmax(-1)
        for i in np.flatnonzero((rather != truth) & (student.argmax(-1) == rather)):
            given = float(teacher[i, truth[i]]), float(student[i, truth[i]])
            found.append((sum(given), (texts(frame.iloc[i]), split, names[truth[i]], names[rather[i]], *given)))
    if not found:
        return Words("No label of the selection and held-out rows looks wrong to both teacher and student.")
    found.sort(key=lambda each: each[0])
    note = (
        f"{min(len(found), MOST)} of {len(found)} selection and held-out rows on which teacher and student agree on "
        "another label, the surest first. Nobody was trained on these labels. Some of them are right, and the models "
        "wrong. For the training labels: crild check DATA --suspicious."
    )
    return Table(HEADINGS, tuple(cells for _, cells in found[:MOST]), "Labels that look wrong", note=note)
