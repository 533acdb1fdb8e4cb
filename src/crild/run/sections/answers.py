"""What student and teacher answer: confusion matrices and scores by label, or residuals."""

from collections.abc import Mapping

import numpy as np

from crild.metrics import confusion
from crild.reporting import figures
from crild.reporting.page import Part, Table
from crild.run.sections.seen import Seen

MOST_CLASSES = 12  # of a confusion matrix that can be read
MOST_MISTAKES = 30
MOST_DOTS = 400
Answers = Mapping[str, np.ndarray]


def answers(seen: Seen) -> tuple[Part, ...]:
    """Return confusion matrices and scores by label of student and teacher, or their residuals."""
    told = {role: each for role, each in seen.answers.items() if role != "control"}
    return of_classes(seen, told) if seen.has_classes else residuals(seen, told)


def of_classes(seen: Seen, told: Answers) -> tuple[Part, ...]:
    """Return confusion matrices (of many classes, the most frequent mistakes), and scores by label."""
    names, parts = seen.result.labels, list[Part]()
    if seen.truth.ndim == 1 and len(names) <= MOST_CLASSES:
        for role, each in told.items():
            counts = confusion(seen.truth, each, len(names))
            parts.append(figures.confusion(f"{role.capitalize()}: label and answer", names, counts, role))
    elif seen.truth.ndim == 1:
        parts.append(mistakes(seen, told))
    by_class = {role: seen.rows.task_type.by_class(seen.truth, each, names)["classes"] for role, each in told.items()}
    f1 = {name: {role: found[place]["f1"] for role, found in by_class.items()} for place, name in enumerate(names)}
    rows = tuple(
        (name, role, *(found[place][what] for what in ("precision", "recall", "f1", "rows")))
        for place, name in enumerate(names)
        for role, found in by_class.items()
    )
    parts.append(figures.bars("F1 of each label", f1, {role: role for role in told}, "F1"))
    return (*parts, Table(("label", "model", "precision", "recall", "F1", "rows"), rows, "Each label"))


def mistakes(seen: Seen, told: Answers) -> Table:
    """Return the most frequent mistakes of the student."""
    names = seen.result.labels
    counts = {role: np.array(confusion(seen.truth, each, len(names))) for role, each in told.items()}
    wrong = list(counts.values())[-1].copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_MISTAKES]
    rows = tuple(
        (names[i], names[j], *(int(of[i, j]) for of in counts.values()))
        for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[i, j]
    )
    return Table(("label", "answer", *(f"{role}, rows" for role in counts)), rows, "The most frequent mistakes")


def residuals(seen: Seen, told: Answers) -> tuple[Part, ...]:
    """Return answer less label by label; of many rows some, evenly over the labels."""
    order = np.argsort(seen.truth, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(len(order), MOST_DOTS)).astype(int)]
    note = "Above the line an answer is too high."
    if len(chosen) < len(order):
        note += f" {len(chosen)} of {len(order)} rows, evenly over the labels."
    return tuple(
        figures.dots(
            f"{role.capitalize()}: answer less label",
            [(float(seen.truth[i]), float(each[i] - seen.truth[i])) for i in chosen],
            "label",
            "answer less label",
            role,
            note,
        )
        for role, each in told.items()
    )
