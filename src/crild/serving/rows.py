"""The rows that an export is proved on, and those that its choices are made on: never the same."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from crild.config import ExportConfig
from crild.data.rows import RowTexts
from crild.data.splits import MOST_SELECTION, carve
from crild.errors import CrildError
from crild.metrics import Measure
from crild.run.classifier import Classifier, rows_to_score
from crild.run.folder import RunFolder
from crild.run.predictions import RunRows
from crild.run.targets import AGREEMENT
from crild.serving.session import Text

SELECTION_SHARE = 0.5  # of rows that no run has split


@dataclass(frozen=True)
class ScoredRows:
    """Rows, and what answers to them are scored against.

    Attributes:
        rows: ``text``, perhaps ``text_pair``, and empty ``labels``.
        truth: (n,) or (n, C).
        measure: of (truth, answers).
        metric: its name; `AGREEMENT` where rows have no labels.
    """

    rows: Dataset
    truth: np.ndarray
    measure: Measure
    metric: str

    @property
    def texts(self) -> list[Text]:
        """What the served model reads."""
        return [texts[0] if len(texts) == 1 else (texts[0], texts[1]) for texts in RowTexts(self.rows)]

    def select(self, chosen: list[int]) -> "ScoredRows":
        """Return some of the rows."""
        return replace(self, rows=self.rows.select(chosen), truth=self.truth[chosen])


def read_rows(
    config: ExportConfig, classifier: Classifier, run: RunFolder | None, teacher: Classifier | None
) -> tuple[ScoredRows, ScoredRows | None, list[str]]:
    """Return the rows to report on, those to choose on (``None`` where nothing is chosen), and notes.

    A run has both. Of rows that are given, a run's export is reported on all; another model's is chosen on a seeded
    half of them, at most 1,000, and reported on the others. Rows without labels are held against the run's teacher, or
    against the model itself.

    Raises:
        CrildError: the rows cannot be used, or are too few.
    """
    of_run = RunRows.of(run) if run is not None else None
    selection = None if of_run is None else scored(of_run, of_run.selection)
    if of_run is not None and not config.data:
        return scored(of_run, of_run.held_out), selection, []
    if not config.data:
        raise CrildError("--data is missing: rows to prove the export on (a run's folder has its own)")
    found = rows_to_score(classifier, config)
    if found.target is not None:
        rows = ScoredRows(plain(found.rows), found.target.truth, found.target.measure, found.target.metric)
    else:
        source = teacher or classifier
        truth = source.task_type.answers(source.logits(found.rows, config.max_length))
        metric = config.metric or classifier.task_type.default_metric
        measure = classifier.task_type.find_metric(metric, len(classifier.names))
        rows = ScoredRows(plain(found.rows), truth, measure, AGREEMENT)
    if selection is not None or config.quantize == "none":
        return rows, selection, found.notes
    _, chosen = carve(numbered(rows.rows), SELECTION_SHARE, MOST_SELECTION, config.data_seed)
    places = set(chosen["place"][:])
    if len(places) == len(rows.rows):
        raise CrildError(f"{config.data}: too few rows to choose a quantisation on some and to report on others")
    parts = [[i for i in range(len(rows.rows)) if (i in places) is wanted] for wanted in (False, True)]
    return rows.select(parts[0]), rows.select(parts[1]), found.notes


def scored(run_rows: RunRows, frame: pd.DataFrame) -> ScoredRows:
    """Return some rows of a run."""
    columns: dict[str, Any] = {name: frame[name].tolist() for name in ("text", "text_pair") if name in frame}
    rows = Dataset.from_dict(columns | {"labels": [None] * len(frame)})
    return ScoredRows(rows, run_rows.truth(frame), run_rows.measure, run_rows.metric)


def plain(rows: Dataset) -> Dataset:
    """Return texts alone."""
    texts = rows.select_columns([name for name in ("text", "text_pair") if name in rows.column_names])
    return texts.add_column("labels", [None] * len(rows))


def numbered(rows: Dataset) -> Dataset:
    """Return rows as `carve` takes them, with their ``place``."""
    return rows.add_column("place", list(range(len(rows)))).add_column("raw_label", [None] * len(rows))
