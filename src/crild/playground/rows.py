"""The held-out rows of a run on which teacher and student differ, in an order worth reading."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from crild.run.folder import RunFolder
from crild.run.predictions import RunRows
from crild.run.targets import AGREEMENT

PAGE = 20  # rows at a time
DIFFER, STUDENT_WRONG, TEACHER_WRONG, ALL = "differ", "student-wrong", "teacher-wrong", "all"


@dataclass(frozen=True)
class Differences:
    """Held-out rows, those on which the two are farthest apart first, of these the one of which the student is surest.

    Attributes:
        rows: ``row`` (its place in ``predictions.parquet``), ``text``, perhaps ``text_pair``, ``label``, and of
            ``teacher`` and ``student`` the answer and its ``confidence``.
        groups: what can be asked for, and which of the rows it has.
    """

    rows: list[dict[str, Any]]
    groups: dict[str, list[int]]

    @classmethod
    def of(cls, run: RunFolder) -> "Differences | None":
        """Read them from a run's folder; ``None`` where there is no student."""
        if "student" not in run.result:
            return None
        known = RunRows.of(run)
        frame, task_type = known.held_out, known.task_type
        answers = {name: known.answers(frame, name) for name in ("teacher", "student")}
        apart = task_type.apart(answers["teacher"], answers["student"])
        sure = {}
        for name in answers:
            column = f"{name}_probabilities"
            shares = np.stack(list(frame[column])) if column in frame else None
            sure[name] = None if shares is None else task_type.confidence(task_type.logits(shares))
        surest = np.zeros(len(frame)) if sure["student"] is None else sure["student"]
        order = np.lexsort((-surest, -apart)).tolist()
        shown = [each for each in ("text", "text_pair", "label") if each in frame]
        records = frame[shown].to_dict("records")
        rows = []
        for i in order:
            row: dict[str, Any] = {"row": int(frame.index[i])} | records[i]
            row["label"] = spelled(row["label"])
            for name in answers:
                confidence = sure[name]
                row[name] = spelled(frame[name].iloc[i])
                row[f"{name}_confidence"] = None if confidence is None else float(confidence[i])
            rows.append(row)
        groups = {DIFFER: [place for place, i in enumerate(order) if apart[i] > 0]}
        if task_type.named and known.metric != AGREEMENT:
            truth = known.truth(frame)
            wrong = {name: task_type.apart(each, truth) > 0 for name, each in answers.items()}
            only = {
                STUDENT_WRONG: wrong["student"] & ~wrong["teacher"],
                TEACHER_WRONG: wrong["teacher"] & ~wrong["student"],
            }
            groups |= {name: [place for place, i in enumerate(order) if chosen[i]] for name, chosen in only.items()}
        return cls(rows, groups | {ALL: list(range(len(order)))})

    def page(self, group: str, words: str, first: int) -> dict[str, Any]:
        """Return ``total``, ``first`` and `PAGE` ``rows`` of a group whose texts hold ``words``, in any case."""
        wanted = words.casefold()
        found = [self.rows[place] for place in self.groups[group]]
        if wanted:
            found = [
                row for row in found if any(wanted in row.get(name, "").casefold() for name in ("text", "text_pair"))
            ]
        first = max(0, min(first, (len(found) - 1) // PAGE * PAGE))
        return {"total": len(found), "first": first, "rows": found[first : first + PAGE]}


def spelled(value: Any) -> Any:
    """Return an answer or a label as JSON knows it; ``None`` where there is none."""
    if isinstance(value, np.ndarray | list):
        return [str(each) for each in value]
    if value is None or value != value:
        return None
    return value if isinstance(value, str) else float(value)
