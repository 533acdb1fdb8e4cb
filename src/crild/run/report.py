"""The report of a finished run: one page that shows what came of it, from what is in the run's folder alone."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from crild.calibration import expected_calibration_error, fit_temperature, reliability
from crild.config import DistillConfig, FinetuneConfig, ReportConfig, configure, takes
from crild.config.arguments import flag
from crild.metrics import Difference, confusion, paired_differences
from crild.reporting import figures
from crild.reporting.page import Cell, Figure, Part, Section, Table, Words, render, words
from crild.run.card import shown
from crild.run.diagnosed import diagnosed
from crild.run.folder import RunFolder
from crild.run.predictions import RunRows, confidences
from crild.run.result import CALLED, MODELS, Scores
from crild.run.targets import AGREEMENT

MOST_CLASSES = 12  # of a confusion matrix that can be read
MOST_ROWS, LONGEST = 500, 300  # rows that are searched, letters of a text: the page stays below 2 MB
MOST_DOTS = 400
MOST_SUSPECTS = 30
BINS = 10


class Seen:
    """A finished run as its report sees it.

    Attributes:
        run: its folder.
        models: the scores of those that there are, by role.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run, self.result = run, run.result
        self.models = {name: of for name in MODELS if (of := run.result.models.get(name)) is not None}

    @cached_property
    def rows(self) -> RunRows:
        """What was scored."""
        return RunRows.of(self.run)

    @cached_property
    def truth(self) -> np.ndarray:
        """What the held-out rows are scored against."""
        return self.rows.truth(self.rows.held_out)

    @cached_property
    def answers(self) -> dict[str, np.ndarray]:
        """Of each model to the held-out rows."""
        return {name: self.rows.answers(self.rows.held_out, name) for name in self.models}

    @cached_property
    def differences(self) -> dict[tuple[str, str], Difference]:
        """Of every pair of models."""
        return paired_differences(self.rows.measure, self.truth, self.answers)

    @property
    def has_labels(self) -> bool:
        """Whether scores are against labels."""
        return self.rows.metric != AGREEMENT

    @property
    def student(self) -> Scores | None:
        """The student; ``None`` in a fine-tuning."""
        return self.models.get("student")


@takes(ReportConfig)
def report(config: ReportConfig | None = None, **options: Any) -> Path:
    """Write the report of a finished run anew, ``RUN/report.html``: one file that opens without a network.

    Every distillation writes it when it ends; once more is worth it after `crild.diagnose` or `crild.export`, whose figures
    join it.

    Args:
        config: a whole configuration; or
        options: the fields of `ReportConfig`, for instance ``run="runs/tweets"``.

    Returns:
        The file.

    Raises:
        CrildError: there is no such run, or it is not finished.

    Example:
        >>> crild.report(run="runs/tweets")
    """
    whole = configure(ReportConfig, config, options)
    return write_report(RunFolder.open(os.fspath(whole.run or "")))


def write_report(run: RunFolder) -> Path:
    """Write the report of a finished run; return the file."""
    return run.write_report(page(run))


def page(run: RunFolder) -> str:
    """Return the report of a finished run."""
    seen = Seen(run)
    sections = [
        Section("scores", "Scores", scores(seen)),
        Section("training", "Training and overfitting", training(seen)),
        Section("errors", "What is answered", errors(seen)),
        Section("rows", "Rows on which teacher and student differ most", differing(seen)),
        Section("calibration", "Can its confidence be believed?", calibration(seen)),
        Section("labels", "Labels", labels(seen)),
        Section("diagnostics", "Diagnostics", diagnosed(run)),
        Section("made", "How it was made", made(seen)),
    ]
    foot = f"Written by crild {run.facts['versions']['crild']} from {run.path.name}/ alone; nothing was trained or scored for it."
    return render(heading(seen), lead(seen), sections, foot)


# ---- in words ----


def heading(seen: Seen) -> str:
    """Return what the page is about."""
    data, method = data_name(seen), seen.run.plan.method
    return f"{data}: a student distilled with {method}" if method else f"{data}: a classifier, fine-tuned"


def data_name(seen: Seen) -> str:
    """Return what the data is called."""
    return shown(str(seen.run.options.get("data") or seen.result.task))


def lead(seen: Seen) -> list[str]:
    """Return what was distilled from what, with which method, and how it went."""
    teacher, student = seen.models["teacher"], seen.student
    rows = f"{seen.result.metric} on {seen.result.rows['validation']} held-out rows of {data_name(seen)}"
    if student is None:
        low, high = teacher.interval
        return [f"A classifier was fine-tuned; it scores {teacher.score:.4f} ({low:.4f} to {high:.4f}; {rows})."]
    found = [seen.differences["student", "teacher"].verdict("its teacher")]
    if "control" in seen.models:
        found.append(seen.differences["student", "control"].verdict("the same student without a teacher"))
    if seen.result.constant is not None and student.score <= seen.result.constant:
        found.append("no better than always the same answer")
    fast = f" It is {teacher.latency_ms / student.latency_ms:.1f} times as fast." if speed(teacher, student) else ""
    said = ", and ".join(filter(None, ["; ".join(found[:-1]), found[-1]]))
    return [
        f"A student of {size(student)} was distilled from a teacher of {size(teacher)} with {seen.run.plan.method}. "
        f"It scores {student.score:.4f} where its teacher scores {teacher.score:.4f} ({rows}): {said}.{fast}"
    ]  # fmt: skip


def speed(teacher: Scores, student: Scores) -> bool:
    """Whether it is known how long both take."""
    return bool(teacher.latency_ms and student.latency_ms)


def size(model: Scores) -> str:
    """Return layers and parameters."""
    layers = f"{model.layers} layer{'s' if model.layers != 1 else ''} and " if model.layers is not None else ""
    return f"{layers}{(model.parameters or 0) / 1e6:.1f} M parameters"


def called(role: str) -> str:
    """Return a model's name."""
    return CALLED.get(role, role)


# ---- sections ----


def scores(seen: Seen) -> tuple[Part, ...]:
    """Return the table of all models with paired differences, what that says, and the picture of score and latency."""
    result, teacher = seen.result, seen.models["teacher"]
    costs = {role: seen.student if role == "control" and seen.student else of for role, of in seen.models.items()}
    rows: list[tuple[Cell, ...]] = []
    kinds = []
    for role, of in seen.models.items():
        difference = seen.differences.get((role, "teacher"))
        rows.append(
            (
                called(role),
                of.score,
                *of.interval,
                kept(of.score, teacher.score),
                *apart(difference),
                *cost(costs[role]),
            )
        )
        kinds.append(role)
    if (export := seen.run.export) and seen.student:
        served, before = export["models"]["served"], export["models"].get("before")
        rows.append(
            (f"served ({export['format']}{', int8' if export.get('scheme') else ''})", export["score_after"], None, None,
             kept(export["score_after"], teacher.score), None, "see below", seen.student.parameters and
             seen.student.parameters / 1e6, export["bytes"] / 1e6, pace(seen.student, served, before))
        )  # fmt: skip
        kinds.append("served")
    if result.constant is not None:
        rows.append(("always the same answer", result.constant, *[None] * 8))
        kinds.append("constant")
    title = f"{result.metric} on {result.rows['validation']} held-out rows"
    headings = ("model", result.metric, "low", "high", "kept, %", "to teacher, points", "95 % of that", "M parameters",
                "MB", "ms a row")  # fmt: skip
    note = (
        "Low and high: 95 % bootstrap interval over rows. Differences are paired: all models are scored on the same "
        "drawn rows, so that what is hard for all cancels. Points are hundredths of a score. Latency is of one row at a "
        "time; the student without a teacher costs what the student costs."
    )
    parts: list[Part] = [Table(headings, tuple(rows), title, tuple(kinds), note=note)]
    parts += words(*verdicts(seen))
    if picture := latency(seen):
        parts.append(picture)
    parts += words(*(f"Note: {each}." for each in result.notes))
    parts += [Table(("model", *names), more, "Every metric") for names, more in [every_metric(seen)] if len(names) > 1]
    parts += further_splits(seen)
    return tuple(parts)


def kept(score: float, best: float) -> float | None:
    """Return a score as a percentage of the teacher's."""
    return round(100 * score / best, 1) if best > 0 else None


def apart(difference: Difference | None) -> tuple[Cell, Cell]:
    """Return a difference in points, and its interval."""
    if difference is None:
        return None, ""
    low, high = 100 * difference.low, 100 * difference.high
    return round(100 * difference.value, 2), f"{low:+z.1f} to {high:+z.1f}"


def cost(model: Scores) -> tuple[Cell, Cell, Cell]:
    """Return millions of parameters, megabytes, and milliseconds of a row."""
    return (model.parameters and model.parameters / 1e6, model.bytes and model.bytes / 1e6, model.latency_ms)


def pace(student: Scores, served: Mapping[str, Any], before: Mapping[str, Any] | None) -> float | None:
    """Return how long the served model takes for a row: the student's time in the run, times what the export saved.

    The export was timed on its own: both are timed there in turns, so the quotient is what is comparable.
    """
    if not student.latency_ms or not before:
        return None
    mean, mean_before = (float(np.mean(list(each["latency_ms"].values()))) for each in (served, before))
    return student.latency_ms * mean / mean_before


def verdicts(seen: Seen) -> list[str]:
    """Return what the paired differences say, a sentence each."""
    if seen.student is None:
        return []
    lines = [f"The student is {seen.differences['student', 'teacher'].verdict('its teacher')} (95 %)."]
    if "control" in seen.models:
        told = seen.differences["student", "control"]
        lines.append(f"What distilling was worth: the student is {told.verdict('the same student without a teacher')} "
                     f"(difference {100 * told.value:+z.1f} points).")  # fmt: skip
    if export := seen.run.export:
        low, high = export["difference_interval"]
        served = Difference(export["difference"], low, high)
        lines.append(f"Served, it is {served.verdict('the student in PyTorch')}, on {export['rows']} rows.")
    return lines


def latency(seen: Seen) -> Figure | None:
    """Return score against latency; ``None`` where nobody measured it."""
    teacher, student = seen.models["teacher"], seen.student
    if student is None or not speed(teacher, student):
        return None
    models = [
        figures.Costed(called(role), role, of.score, *of.interval, float(costs.latency_ms or 0), costs.bytes)
        for role, of in seen.models.items()
        for costs in [student if role == "control" else of]
    ]
    note = ""
    if (export := seen.run.export) and (
        ms := pace(student, export["models"]["served"], export["models"].get("before"))
    ):
        low, high = (student.score + each for each in export["difference_interval"])
        models.append(figures.Costed("served", "served", export["score_after"], low, high, ms, export["bytes"]))
        note = (
            "Served: the student's latency here, times what the export saved; its interval is that of its difference."
        )
    return figures.score_and_latency(models, seen.result.metric, note)


def every_metric(seen: Seen) -> tuple[list[str], tuple[tuple[Cell, ...], ...]]:
    """Return the names of all metrics, and their values by model."""
    names = list(seen.models["teacher"].scores)
    rows = tuple((called(role), *(of.scores.get(name) for name in names)) for role, of in seen.models.items())
    return names, rows


def further_splits(seen: Seen) -> list[Table]:
    """Return the scores on further validation splits."""
    splits = list(seen.models["teacher"].also or {})
    rows = tuple(
        (called(role), split, of.also[split]["score"], *of.also[split]["interval"])
        for split in splits
        for role, of in seen.models.items()
        if of.also and split in of.also
    )
    return [Table(("model", "split", seen.result.metric, "low", "high"), rows, "Further splits")] if rows else []


def training(seen: Seen) -> tuple[Part, ...]:
    """Return training and held-out value of every term by epoch of each stage, and the gap at the end."""
    pictures: list[Part] = []
    ends: list[tuple[Cell, ...]] = []
    for stage in seen.run.plan.stages:
        history = seen.run.history(stage.name)
        kind = "student" if stage.trains == "fold" else stage.trains
        for name in dict.fromkeys(name for entry in history for name in entry["held_out"]):
            epochs = [float(entry["epoch"]) for entry in history]
            train = [entry["train"].get(name) for entry in history]
            held_out = [entry["held_out"].get(name) for entry in history]
            gap = [None if a is None or b is None else b - a for a, b in zip(train, held_out, strict=True)]
            lowest = min((b, epoch) for b, epoch in zip(held_out, epochs, strict=True) if b is not None)
            ends.append((stage.title, name, train[-1], held_out[-1], gap[-1], lowest[0], lowest[1]))
            pictures.append(
                figures.curves(
                    f"{stage.title}: {name}",
                    [figures.Curve("training", kind, epochs, train),
                     figures.Curve("held out", f"{kind} dashed", epochs, held_out)],
                    "epoch", name, f"Gap at the end: {'-' if gap[-1] is None else f'{gap[-1]:+.4g}'}",
                    more={"gap": gap},
                )
            )  # fmt: skip
        followed = [name for name in ("score", "validation") if any(name in entry for entry in history)]
        if followed:
            epochs = [float(entry["epoch"]) for entry in history]
            lines = [
                figures.Curve(
                    "selection rows" if name == "score" else "validation rows", f"{kind}{' dashed' if name != 'score' else ''}",
                    epochs, [entry.get(name) for entry in history]
                )
                for name in followed
            ]  # fmt: skip
            pictures.append(figures.curves(f"{stage.title}: score", lines, "epoch", seen.result.metric))
    if not pictures:
        return ()
    said = (
        "Every term that was minimised, on the training rows and on rows held out from them (the selection rows). A gap "
        "that opens while the training value falls is overfitting. Training values are means over the steps since the "
        "evaluation before, with dropout and while the weights moved; held-out values are without dropout."
    )
    headings = ("stage", "term", "training", "held out", "gap", "lowest held out", "at epoch")
    return (Words(said), *pictures, Table(headings, tuple(ends), "At the end of each stage"))


def errors(seen: Seen) -> tuple[Part, ...]:
    """Return what each model answers: confusion matrices, scores by label, or residuals."""
    told = {role: answers for role, answers in seen.answers.items() if role != "control"}
    task_type, names = seen.rows.task_type, seen.result.labels
    if not task_type.named:
        return residuals(seen, told)
    by_class = {role: task_type.by_class(seen.truth, answers, names) for role, answers in told.items()}
    parts: list[Part] = []
    if seen.truth.ndim == 1 and len(names) <= MOST_CLASSES:
        parts += [
            figures.confusion(f"{called(role)[0].upper()}{called(role)[1:]}", names, confusion(seen.truth, answers, len(names)), role)
            for role, answers in told.items()
        ]  # fmt: skip
    elif seen.truth.ndim == 1:
        parts.append(mistakes(seen, told))
    f1 = {each["label"]: {} for each in by_class["teacher"]["classes"]}
    for role, found in by_class.items():
        for each in found["classes"]:
            f1[each["label"]][role] = each["f1"]
    parts.append(figures.bars("F1 of each label", f1, {role: role for role in told}, "F1"))
    rows = tuple(
        (each["label"], role, each["precision"], each["recall"], each["f1"], each["rows"])
        for pair in zip(*(found["classes"] for found in by_class.values()), strict=True)
        for role, each in zip(by_class, pair, strict=True)
    )
    return (*parts, Table(("label", "model", "precision", "recall", "F1", "rows"), rows, "Each label"))


def mistakes(seen: Seen, told: Mapping[str, np.ndarray]) -> Table:
    """Return the most frequent mistakes, where there are too many classes for a matrix."""
    names = seen.result.labels
    counts = {role: np.array(confusion(seen.truth, answers, len(names))) for role, answers in told.items()}
    wrong = np.array(counts["student" if "student" in counts else "teacher"])
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_SUSPECTS]
    rows = tuple(
        (names[i], names[j], *(int(of[i, j]) for of in counts.values()))
        for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[i, j]
    )
    return Table(("label", "answer", *(f"{role}, rows" for role in counts)), rows, "The most frequent mistakes")


def residuals(seen: Seen, told: Mapping[str, np.ndarray]) -> tuple[Part, ...]:
    """Return the residuals of numbers by label; of many rows some, evenly over the labels."""
    order = np.argsort(seen.truth, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(len(order), MOST_DOTS)).astype(int)]
    note = f"{len(chosen)} of {len(order)} rows. Above the line: the answer is too high." if len(chosen) < len(order) else (
        "Above the line: the answer is too high.")  # fmt: skip
    return tuple(
        figures.dots(
            f"{called(role)[0].upper()}{called(role)[1:]}: answer less label",
            [(float(seen.truth[i]), float(answers[i] - seen.truth[i])) for i in chosen],
            "label", "answer less label", role, note, zero=True,
        )
        for role, answers in told.items()
    )  # fmt: skip


def differing(seen: Seen) -> tuple[Part, ...]:
    """Return the held-out rows on which teacher and student differ most."""
    if seen.student is None:
        return ()
    frame, rows = seen.rows.held_out, seen.rows
    ours, theirs = seen.answers["student"], seen.answers["teacher"]
    answered = rows.task_type.apart(ours, theirs)
    pair = [rows.probabilities(frame, role) for role in ("student", "teacher")]
    distance = answered if pair[0] is None or pair[1] is None else np.abs(pair[0] - pair[1]).sum(-1) / (
        2 if seen.truth.ndim == 1 else pair[0].shape[1])  # fmt: skip
    order = np.lexsort((-distance, -answered))[:MOST_ROWS]
    right = {role: wrongness(seen, seen.answers[role]) for role in ("teacher", "student")}
    cells = []
    kinds = []
    for i in order:
        row = frame.iloc[i]
        label = () if not seen.has_labels else (said(row["label"]),)
        cells.append((texts(row), *label, said(row["teacher"]), said(row["student"]), round(float(distance[i]), 4)))
        kinds.append(kind_of(right["teacher"][i], right["student"][i], bool(answered[i] > 0), seen.has_labels))
    choices = CHOICES if seen.has_labels and rows.task_type.named else {}
    measured = (
        "half the sum of differences of probabilities" if seen.truth.ndim == 1 else "mean difference of probabilities"
    )
    note = "Difference: " + (measured if pair[0] is not None else "of the numbers") + ", the farthest apart first"
    if len(order) < len(frame):
        note += f"; {len(order)} of {len(frame)} rows, all of them are in predictions.parquet"
    headings = ("text", *(("label",) if seen.has_labels else ()), "teacher", "student", "difference")
    count = int((answered > 0).sum())
    first = (f"On {count} of {len(frame)} held-out rows ({count / len(frame):.1%}) teacher and student answer differently."
             if rows.task_type.named else "")  # fmt: skip
    return (*words(first), Table(headings, tuple(cells), "", tuple(kinds), choices, f"{note}."))


CHOICES = {
    "teacher-alone": "the teacher alone is right",
    "student-alone": "the student alone is right",
    "neither": "neither is right",
    "both": "both are right",
}


def wrongness(seen: Seen, answers: np.ndarray) -> np.ndarray:
    """Return whether each row is answered wrongly."""
    return seen.rows.task_type.apart(answers, seen.truth) > 0


def kind_of(teacher_wrong: bool, student_wrong: bool, differ: bool, labelled: bool) -> str:
    """Return which of `CHOICES` a row is; without labels whether the two differ."""
    if not labelled:
        return "differ" if differ else "same"
    if teacher_wrong and student_wrong:
        return "neither"
    return "student-alone" if teacher_wrong else "teacher-alone" if student_wrong else "both"


def texts(row: pd.Series) -> str:
    """Return the texts of a row, cut where they are long."""
    whole = " | ".join(str(row[name]) for name in ("text", "text_pair") if name in row)
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}…"


def said(answer: Any) -> Cell:
    """Return an answer or a label as a cell."""
    if isinstance(answer, np.ndarray | list | tuple):
        return " + ".join(map(str, answer)) or "none"
    return round(float(answer), 4) if isinstance(answer, float | np.floating) else str(answer)


def calibration(seen: Seen) -> tuple[Part, ...]:
    """Return how far confidences can be believed, before and after a temperature that the selection rows chose."""
    rows, task_type = seen.rows, seen.rows.task_type
    if not task_type.named or not seen.has_labels:
        return ()
    curves, cells = [], []
    temperatures = {}
    for role in seen.models:
        held_out, chosen = (rows.probabilities(frame, role) for frame in (rows.held_out, rows.selection))
        if role == "control" or held_out is None or chosen is None:
            continue
        logits = task_type.logits(held_out)
        temperature = fit_temperature(task_type.logits(chosen), rows.truth(rows.selection))
        temperatures[role] = temperature
        before, after = (confidences(task_type, logits / by, seen.truth) for by in (1.0, temperature))
        curves.append(figures.Reliable(role, role, *map(list, reliability(*before, bins=BINS))))
        if role == "student" or seen.student is None:
            curves.append(
                figures.Reliable(f"{role}, with its temperature", "served", *map(list, reliability(*after, bins=BINS)))
            )
        cells.append((role, float(before[0].mean()), float(before[1].mean()), expected_calibration_error(*before),
                      temperature, expected_calibration_error(*after)))  # fmt: skip
    if not cells:
        return ()
    role = "student" if seen.student else "teacher"
    error, better = next((each[3], each[5]) for each in cells if each[0] == role)
    advice = (
        f"Divide the {role}'s logits by {temperatures[role]:.2f} before the softmax: its expected calibration error on the "
        f"held-out rows goes from {error:.3f} to {better:.3f}. "
        if better < error
        else f"No temperature is worth it: {temperatures[role]:.2f} fits the selection rows best, and on the held-out rows the "
        f"expected calibration error would go from {error:.3f} to {better:.3f}. "
    )
    advice += (f"It was fitted on the {len(rows.selection)} selection rows, and changes no answer. `crild export` writes it into "
               "what it serves.")  # fmt: skip
    headings = ("model", "mean confidence", "share right", "calibration error", "temperature", "error with it")
    note = "On the dashed line a confidence is what it says; below it a model is too sure. A circle's area: rows."
    return (
        Words(advice),
        figures.reliability_curves("Reliability", curves, note),
        Table(headings, tuple(cells), "Expected calibration error, 15 bins"),
    )


def labels(seen: Seen) -> tuple[Part, ...]:
    """Return how often each label occurs, and held-out labels that look wrong."""
    counts, task_type, names = label_counts(seen), seen.rows.task_type, seen.result.labels
    parts: list[Part] = []
    if counts:
        kinds = {"training": "teacher", "selection": "control", "held out": "student"}
        there = {name: kind for name, kind in kinds.items() if any(name in each for each in counts.values())}
        parts.append(figures.bars("Rows of each label", counts, there, "rows"))
    elif seen.has_labels and not task_type.named:
        numbers = [float(value) for value in seen.truth]
        found, edges = np.histogram(numbers, bins=BINS)
        spans = [f"{a:.3g} to {b:.3g}" for a, b in zip(edges, edges[1:], strict=False)]
        parts.append(figures.bars("Held-out rows by label", {span: {"rows": int(n)} for span, n in zip(spans, found, strict=True)},
                                  {"rows": "student"}, "rows"))  # fmt: skip
    if task_type.name == "classification" and seen.has_labels and seen.student is not None and len(names) > 1:
        parts += suspicious(seen)
    return tuple(parts)


def label_counts(seen: Seen) -> dict[str, dict[str, float]]:
    """Return the rows of each label by split; none where labels are numbers, or there are none."""
    names, task_type = seen.result.labels, seen.rows.task_type
    if not task_type.named:
        return {}
    found = {"training": seen.run.facts.get("labels") or {}}
    if seen.has_labels:
        for split, frame in (("selection", seen.rows.selection), ("held out", seen.rows.held_out)):
            found[split] = task_type.counts(seen.rows.truth(frame).tolist(), names)
    return {name: {split: of[name] for split, of in found.items() if name in of} for name in names}


def suspicious(seen: Seen) -> list[Part]:
    """Return the rows whose label is probably wrong: nobody was trained on it, and teacher and student agree on another.

    The model's own probabilities of rows that it was not trained on are out of sample, as confident learning asks for.
    """
    names = seen.result.labels
    cells = []
    for split, frame in (("selection", seen.rows.selection), ("held out", seen.rows.held_out)):
        truth = seen.rows.truth(frame)
        teacher, student = (seen.rows.probabilities(frame, role) for role in ("teacher", "student"))
        if teacher is None or student is None:
            return []
        place = np.arange(len(truth))
        rather = teacher.argmax(-1)
        for i in np.flatnonzero((rather != truth) & (student.argmax(-1) == rather)):
            given = (float(of[place[i], truth[i]]) for of in (teacher, student))
            cells.append((texts(frame.iloc[i]), split, names[truth[i]], names[rather[i]], *given))
    cells.sort(key=lambda each: each[-2] + each[-1])
    if not cells:
        return list(words("No label of the selection and held-out rows looks wrong: there is none where teacher and student "
                          "agree on another."))  # fmt: skip
    note = (
        f"The {min(len(cells), MOST_SUSPECTS)} of {len(cells)} selection and held-out rows, whose labels nobody was trained on, where "
        "teacher and student agree on another label; the surest first. Some labels here are right, and the models wrong. "
        "The training labels: crild check DATA --suspicious."
    )
    headings = ("text", "rows", "label", "rather", "teacher's p(label)", "student's p(label)")
    return [Table(headings, tuple(cells[:MOST_SUSPECTS]), "Labels that look wrong", note=note)]


def made(seen: Seen) -> tuple[Part, ...]:
    """Return plan, options, versions, machine, and the command that does it again."""
    facts, run = seen.run.facts, seen.run
    machine = ", ".join(f"{name} {value}" for name, value in facts["machine"].items() if value is not None)
    stages = tuple(
        (each.title, each.trains, each.rows, each.steps, each.settings.learning_rate, each.settings.batch_size)
        for each in run.plan.stages
    )
    rows = ", ".join(f"{name} {count}" for name, count in seen.result.rows.items())
    student = [f"Student: {seen.student.init}."] if seen.student and seen.student.init else []
    return (
        *words(
            f"Rows: {rows}. Seed {seen.result.seed}. {seen.result.minutes:g} minutes, started {facts['started']}.",
            *student,
        ),
        Table(("stage", "trains", "rows", "steps", "learning rate", "batch"), stages, "Stages"),
        Words("The same again:"),
        Words(command(run), code=True),
        Table(("", "version"), tuple(facts["versions"].items()), "Versions", note=f"Machine: {machine}."),
        Words("Every option, as resolved (config.yaml):"),
        Words(yaml.safe_dump(run.options, sort_keys=False, allow_unicode=True).rstrip(), code=True),
    )


def command(run: RunFolder) -> str:
    """Return the command line that makes the run again; options as they are by default are left out."""
    distils = run.plan.method is not None
    defaults = {each.name: each.default for each in fields(DistillConfig if distils else FinetuneConfig)}
    parts = ["crild", "distill" if distils else "finetune"]
    for name, value in run.options.items():
        if name not in defaults or value == defaults[name] or value is None:
            continue
        if isinstance(value, bool) and defaults[name] is not None:
            parts.append(flag(name) if value else f"--no-{flag(name)[2:]}")
        else:
            parts += [flag(name), str(value).lower() if isinstance(value, bool) else str(value)]
    return shlex.join([*parts, "--output", "OUTPUT"])
