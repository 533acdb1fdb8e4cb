"""What an exported model's confidences are worth: their temperature, and below which one its teacher should answer."""

from dataclasses import replace

import pandas as pd

from crild.calibration import fit_temperature
from crild.run.cascade import Cascade, Rows, cascade_of
from crild.run.folder import RunFolder
from crild.run.predictions import RunRows
from crild.run.targets import AGREEMENT
from crild.serving.result import Export
from crild.serving.rows import ScoredRows, scored
from crild.serving.session import Session
from crild.tasks.base import TaskType


def with_confidence(
    found: Export, run: RunFolder | None, task_type: TaskType, selection: ScoredRows | None, session: Session
) -> Export:
    """Return a proof with the temperature of the served model's logits, and with the cascade of a run's student.

    Args:
        found: the proof so far, which has the times at batch 1.
        run: of the model; ``None`` where it is no run's.
        task_type: what the model does; a number has no confidence.
        selection: the rows that temperature and threshold are chosen on.
        session: the served model.
    """
    if selection is None or not task_type.named:
        return found
    if run is not None and "student" in run.result:
        cascade = cascade_behind(run, session, found)
        return replace(found, temperature=cascade.temperature, cascade=cascade)
    if selection.metric == AGREEMENT:  # with its own answers
        return found
    return replace(found, temperature=fit_temperature(session.logits(selection.texts), selection.truth))


def cascade_behind(run: RunFolder, session: Session, found: Export) -> Cascade:
    """Return the cascade of a run's served student and its teacher, on the run's own rows."""
    rows = RunRows.of(run)

    def part(frame: pd.DataFrame) -> Rows:
        return Rows(session.logits(scored(rows, frame).texts), rows.answers(frame, "teacher"), rows.truth(frame))

    times = [milliseconds(found, name) for name in ("served", "teacher")]
    return cascade_of(rows.task_type, rows.metric, rows.measure, part(rows.selection), part(rows.held_out), *times)


def milliseconds(found: Export, name: str) -> float | None:
    """Return a model's mean milliseconds at batch 1, over short and long texts; ``None`` where it was not timed."""
    if name not in found.models:
        return None
    times = found.models[name].latency_ms
    return sum(times.values()) / len(times)
