"""Confidences of an exported student: those of the run, in the folder's small file and its example."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

import crild
from crild.run.folder import PROOF
from crild.run.predictions import RunRows
from crild.run.targets import AGREEMENT
from crild.serving.confidence import with_confidence
from crild.serving.folder import write_confidence
from crild.serving.page import write_pages
from crild.serving.result import Export
from crild.serving.rows import scored
from crild.serving.session import ABOUT, Session
from crild.tasks.registry import TASK_TYPES

TEXTS = ["good film", "awful plot", "the film was very slow not really fast", "nice", "bad bad bad acting"]


def example(folder):
    """The folder's serve.py, loaded."""
    spec = importlib.util.spec_from_file_location("serve", folder / "serve.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_export_in_fp32_has_the_cascade_of_its_run(student_run, student_export):
    mine, theirs = student_export.cascade, crild.cascade(student_run)
    assert mine.temperature == pytest.approx(theirs.temperature, rel=1e-3)
    assert mine.threshold == pytest.approx(theirs.threshold, abs=1e-4)
    assert (mine.student, mine.teacher, mine.score) == (student_export.score_after, theirs.teacher, theirs.score)
    assert mine.student_ms == pytest.approx(np.mean(list(student_export.models["served"].latency_ms.values())))
    about = json.loads((student_run / "served" / ABOUT).read_text())
    assert (about["temperature"], about["threshold"]) == (mine.temperature, mine.threshold)
    assert Export.of(json.loads((student_run / "served" / PROOF).read_text())).cascade.to_dict() == mine.to_dict()
    assert "with the teacher behind it: " in (student_run / "served" / "README.md").read_text()


def test_the_example_divides_by_the_temperature_and_says_whom_to_ask(student_run, student_export):
    folder = student_run / "served"
    answers = example(folder).answer(TEXTS)
    assert len(answers[0]) == (2 if student_export.cascade.threshold is None else 3)
    logits = Session(folder).logits(TEXTS)
    shares = softmax(logits / 3.0, axis=-1)
    threshold = float(np.median(shares.max(-1)))
    write_confidence(folder, 3.0, threshold)
    write_pages(folder, student_export, pairs=False)
    answers = example(folder).answer(TEXTS)
    assert [name for name, _, _ in answers] == ["neg" if row[0] > row[1] else "pos" for row in logits]
    assert [sure for _, sure, _ in answers] == pytest.approx(shares.max(-1), rel=1e-5)
    assert [ask for _, _, ask in answers] == (shares.max(-1) < threshold - 1e-6).tolist()
    assert sum(ask for _, _, ask in answers) == 2
    write_confidence(folder, 3.0, None)
    write_pages(folder, student_export, pairs=False)
    assert [len(each) for each in example(folder).answer(TEXTS)] == [2] * len(TEXTS)


def test_a_model_that_is_no_runs_gets_a_temperature_alone(student_run, student_export):
    rows = RunRows.of(crild.RunFolder.open(student_run))
    selection, session = scored(rows, rows.selection), Session(student_run / "served")
    bare = replace(student_export, temperature=1.0, cascade=None)
    found = with_confidence(bare, None, rows.task_type, selection, session)
    assert found == replace(bare, temperature=student_export.temperature) != bare
    for unknown in (None, replace(selection, metric=AGREEMENT)):  # no rows, or its own answers to fit
        assert with_confidence(bare, None, rows.task_type, unknown, session) == bare
    assert with_confidence(bare, None, TASK_TYPES["regression"], selection, session) == bare
