"""A finished run as its report sees it."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from crild.metrics import Difference, paired_differences
from crild.reporting.page import Cell
from crild.run.card import shown
from crild.run.folder import RunFolder
from crild.run.predictions import RunRows
from crild.run.result import CALLED, MODELS, Scores
from crild.run.targets import AGREEMENT

LONGEST = 300  # letters of a text: of thousands of rows a page would be many megabytes


class Seen:
    """What several sections need, each read or computed once.

    Attributes:
        run: its folder.
        result: what it found.
        models: the scores of those that there are, by role: teacher, perhaps control and student.
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
        """What the held-out rows are scored against: (n,) or (n, C)."""
        return self.rows.truth(self.rows.held_out)

    @cached_property
    def answers(self) -> dict[str, np.ndarray]:
        """Of each model to the held-out rows: (n,) or (n, C)."""
        return {name: self.rows.answers(self.rows.held_out, name) for name in self.models}

    @cached_property
    def differences(self) -> dict[tuple[str, str], Difference]:
        """Of every pair of models, see `paired_differences`."""
        return paired_differences(self.rows.measure, self.truth, self.answers)

    @property
    def teacher(self) -> Scores:
        """The teacher, or the classifier of a fine-tuning."""
        return self.models["teacher"]

    @property
    def student(self) -> Scores | None:
        """The student; ``None`` in a fine-tuning."""
        return self.models.get("student")

    @property
    def is_timed(self) -> bool:
        """Whether it is known how long teacher and student take for a row."""
        return bool(self.student and self.student.latency_ms and self.teacher.latency_ms)

    @property
    def has_labels(self) -> bool:
        """Whether scores are against labels."""
        return self.rows.metric != AGREEMENT

    @property
    def has_classes(self) -> bool:
        """Whether answers are classes, and not numbers."""
        return self.rows.task_type.named

    @property
    def data(self) -> str:
        """What the data is called."""
        return shown(str(self.run.options.get("data") or self.result.task))

    def by_split(self) -> dict[str, pd.DataFrame]:
        """Return the rows that were scored and that choices were made on."""
        return {"selection": self.rows.selection, "held out": self.rows.held_out}


def called(role: str) -> str:
    """Return a model's name."""
    return CALLED.get(role, role)


def texts(row: pd.Series) -> str:
    """Return the texts of a row, cut where they are long."""
    whole = " | ".join(str(row[name]) for name in ("text", "text_pair") if name in row)
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}…"


def spelled(answer: Any) -> Cell:
    """Return an answer or a label of `RunFolder.predictions` as a cell."""
    if isinstance(answer, np.ndarray | list | tuple):
        return " + ".join(map(str, answer)) or "none"
    return round(float(answer), 4) if isinstance(answer, float | np.floating) else str(answer)
