"""The rows of a run, read back as arrays."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crild.run.predictions import RunRows
from crild.tasks.registry import TASK_TYPES


@pytest.mark.parametrize("positive", [0, 1])
def test_f1_is_about_the_class_that_the_runs_score_was(positive):
    truth, answers = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 0, 1, 0])
    f1 = TASK_TYPES["classification"].find_metric("f1", 2, positive)
    frame = pd.DataFrame({"label": list("aaabb"), "teacher": ["ab"[i] for i in answers], "split": ["v"] * 5})
    teacher = SimpleNamespace(score=f1(truth, answers))
    result = SimpleNamespace(kind="classification", metric="f1", labels=["a", "b"], models={"teacher": teacher})
    rows = RunRows.of(SimpleNamespace(result=result, predictions=frame, selection_predictions=frame))
    assert rows.measure(truth, 1 - answers) == f1(truth, 1 - answers)
    assert rows.truth(frame).tolist() == truth.tolist()


def test_rows_without_labels_are_held_against_the_teacher():
    frame = pd.DataFrame({"label": [None, None], "teacher": ["a", "b"], "student": ["a", "a"], "split": ["v", "v"]})
    more = frame.assign(split="w")
    result = SimpleNamespace(kind="classification", metric="agreement", labels=["a", "b"])
    run = SimpleNamespace(result=result, options={"metric": None}, selection_predictions=frame,
                          predictions=pd.concat([frame, more]))  # fmt: skip
    rows = RunRows.of(run)
    assert (rows.metric, len(rows.held_out)) == ("agreement", 2)
    assert rows.measure(rows.truth(rows.held_out), rows.answers(rows.held_out, "student")) == 0.5
