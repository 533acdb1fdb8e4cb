"""How far confidences can be believed, and a temperature that corrects them."""

import numpy as np

from crild.calibration import expected_calibration_error, fit_temperature, reliability
from crild.reporting.figures import Reliable, reliability_curves
from crild.reporting.page import Cell, Part, Table, Words
from crild.run.predictions import confidences
from crild.run.sections.seen import Seen

BINS = 10  # of the picture; the error has 15, as in its source
HEADINGS = ("model", "mean confidence", "share right", "calibration error", "temperature", "error with it")
NOTE = "On the dashed line a confidence is what it says; below it a model is too sure. A circle's area: rows."


def calibration(seen: Seen) -> tuple[Part, ...]:
    """Return reliability curves and calibration errors, without and with a temperature fitted on the selection rows."""
    if not seen.has_classes or not seen.has_labels:
        return ()
    rows, task_type = seen.rows, seen.rows.task_type
    last = "student" if seen.student else "teacher"
    curves: list[Reliable] = []
    cells: list[tuple[Cell, ...]] = []
    advice = ""
    for role in dict.fromkeys(("teacher", last)):
        held_out, chosen = (rows.probabilities(frame, role) for frame in (rows.held_out, rows.selection))
        assert held_out is not None
        assert chosen is not None
        logits = task_type.logits(held_out)
        temperature = fit_temperature(task_type.logits(chosen), rows.truth(rows.selection))
        before, after = (confidences(task_type, logits / by, seen.truth) for by in (1.0, temperature))
        error, corrected = expected_calibration_error(*before), expected_calibration_error(*after)
        confidence, correct = before
        curves.append(reliable(role, role, before))
        cells.append((role, float(confidence.mean()), float(correct.mean()), error, temperature, corrected))
        if role == last:
            curves.append(reliable(f"{role}, with its temperature", "served dashed", after))
            advice = advised(role, temperature, error, corrected, len(rows.selection))
    return (
        Words(advice),
        reliability_curves("Reliability", curves, NOTE),
        Table(HEADINGS, tuple(cells), "Expected calibration error on the held-out rows"),
    )


def reliable(name: str, kind: str, found: tuple[np.ndarray, np.ndarray]) -> Reliable:
    """Return a model's curve."""
    confidence, accuracy, rows = (each.tolist() for each in reliability(*found, bins=BINS))
    return Reliable(name, kind, confidence, accuracy, rows)


def advised(role: str, temperature: float, before: float, after: float, rows: int) -> str:
    """Return what to do about it."""
    errors = f"on the held-out rows, expected calibration error {before:.3f} without it and {after:.3f} with it"
    if after >= before:
        best = f"{temperature:.2f} fits the {rows} selection rows best"
        return f"No temperature is offered: {best}, and does not carry over ({errors})."
    return (
        f"Divide the {role}'s logits by {temperature:.2f} before they become probabilities: {errors}. The temperature "
        f"was fitted on the {rows} selection rows and changes no answer; crild export writes it into what it serves."
    )
