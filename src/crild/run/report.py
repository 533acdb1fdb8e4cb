"""The report of a finished run: one page that shows what came of it, from what is in the run's folder alone."""

import os
from pathlib import Path

from crild.reporting.page import Section, render
from crild.run.folder import RunFolder
from crild.run.result import Scores
from crild.run.sections.answers import answers
from crild.run.sections.calibration import calibration
from crild.run.sections.diagnosed import diagnosed
from crild.run.sections.differing import differing
from crild.run.sections.labels import labels
from crild.run.sections.made import made
from crild.run.sections.scores import scores
from crild.run.sections.seen import Seen
from crild.run.sections.training import training


def report(run: str | os.PathLike[str] | RunFolder) -> Path:
    """Write the report of a finished run anew, ``RUN/report.html``: one file that opens without a network.

    Every run writes it when it ends. It is worth writing again after `crild.diagnose` or `crild.export`: what they
    found joins it.

    Args:
        run: a finished run, or its folder.

    Returns:
        The file.

    Raises:
        CrildError: there is no such run, or it is not finished.

    Example:
        >>> crild.report("runs/tweets")
    """
    return write_report(run if isinstance(run, RunFolder) else RunFolder.open(os.fspath(run)))


def write_report(run: RunFolder) -> Path:
    """Write the report of a finished run; return the file."""
    return run.write_report(page(run))


def page(run: RunFolder) -> str:
    """Return the report of a finished run."""
    seen = Seen(run)
    sections = [
        Section("scores", "Scores", scores(seen)),
        Section("training", "Training and overfitting", training(seen)),
        Section("answers", "What is answered", answers(seen)),
        Section("rows", "Where teacher and student differ", differing(seen)),
        Section("calibration", "Calibration", calibration(seen)),
        Section("labels", "Labels", labels(seen)),
        Section("diagnostics", "Diagnostics", diagnosed(run)),
        Section("made", "How it was made", made(seen)),
    ]
    foot = f"Written by crild {run.facts['versions']['crild']} from what is in the run's folder alone."
    return render(heading(seen), [lead(seen)], sections, foot)


def heading(seen: Seen) -> str:
    """Return what the page is about."""
    method = seen.run.plan.method
    return f"{seen.data}: a student distilled with {method}" if method else f"{seen.data}: a classifier, fine-tuned"


def lead(seen: Seen) -> str:
    """Return in a sentence what was distilled from what, with which method, and how it went."""
    teacher, student = seen.teacher, seen.student
    rows = f"{seen.result.metric} on {seen.result.rows['validation']} held-out rows of {seen.data}"
    if student is None:
        low, high = teacher.interval
        score = f"{teacher.score:.4f} ({low:.4f} to {high:.4f}; {rows})"
        return f"A classifier of {size(teacher)} was fine-tuned: it scores {score}."
    went = [seen.differences["student", "teacher"].verdict("its teacher")]
    if "control" in seen.models:
        went.append(seen.differences["student", "control"].verdict("the same student without a teacher"))
    if seen.result.constant is not None and student.score <= seen.result.constant:
        went.append("no better than always the same answer")
    if seen.is_timed:
        times = (teacher.latency_ms or 0) / (student.latency_ms or 1)
        went.append(f"{times:.1f} times as fast as its teacher")
    said = f"{'; '.join(went[:-1])}; and {went[-1]}" if len(went) > 1 else went[0]
    return (
        f"A student of {size(student)} was distilled with {seen.run.plan.method} from a teacher of {size(teacher)}; it "
        f"scores {student.score:.4f}, its teacher {teacher.score:.4f} ({rows}): it is {said}."
    )


def size(model: Scores) -> str:
    """Return layers and parameters."""
    layers = f"{model.layers} layer{'s' if model.layers != 1 else ''} and " if model.layers is not None else ""
    return f"{layers}{(model.parameters or 0) / 1e6:.1f} M parameters"
