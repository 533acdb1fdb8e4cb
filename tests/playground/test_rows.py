"""The rows to browse, against the run's own table of answers."""

import numpy as np
import pandas as pd
import pytest

import crild
from crild.playground.rows import PAGE, Differences


@pytest.fixture(scope="module")
def run(student_run):
    return crild.RunFolder.open(student_run)


def numbers(found):
    return [row["row"] for row in found]


def test_groups_are_what_the_table_of_answers_says(run):
    found, frame = Differences.of(run), run.predictions
    assert {name: len(places) for name, places in found.groups.items()} == {
        "differ": len(frame.query("teacher != student")),
        "student-wrong": len(frame.query("teacher == label and student != label")),
        "teacher-wrong": len(frame.query("student == label and teacher != label")),
        "all": len(frame),
    }
    for place in found.groups["differ"]:
        row = found.rows[place]
        there = frame.loc[row["row"]]
        assert [row[name] for name in ("text", "label", "teacher", "student")] == there[
            ["text", "label", "teacher", "student"]
        ].tolist()
        assert row["student_confidence"] == pytest.approx(max(there["student_probabilities"]))
    sure = [found.rows[place]["student_confidence"] for place in found.groups["differ"]]
    assert sure == sorted(sure, reverse=True)
    apart = [row["teacher"] != row["student"] for row in found.rows]
    assert apart == sorted(apart, reverse=True)


def test_pages_follow_one_another_and_words_are_found_in_any_case(run):
    found, frame = Differences.of(run), run.predictions
    first, second = (found.page("all", "", start) for start in (0, PAGE))
    assert numbers(first["rows"] + second["rows"]) == numbers(found.rows)[: 2 * PAGE]
    last = found.page("all", "", 10**8)
    assert last["first"] == (len(frame) - 1) // PAGE * PAGE
    assert numbers(last["rows"]) == numbers(found.rows)[last["first"] :]
    with_words = found.page("all", "GREAT", 0)
    assert with_words["total"] == frame["text"].str.contains("great").sum() > 0
    assert found.page("all", "no such words", 0) == {"total": 0, "first": 0, "rows": []}


class Regression:
    """What `Differences` asks of a run, of numbers, some of them unlabelled."""

    def __init__(self, labels):
        columns = {"text": ["a", "b", "c"], "label": labels, "teacher": [1.0, 2.0, 3.0], "student": [1.5, 5.0, 3.0]}
        self.predictions = pd.DataFrame(columns | {"split": "dev"})
        self.selection_predictions = self.predictions
        scores = type("Scores", (), {"score": 0.5})
        self.options = {"metric": None}
        self.result = type(
            "Found", (dict,), {"kind": "regression", "labels": [], "metric": "pearson", "models": {"teacher": scores}}
        )(student=1)


@pytest.mark.parametrize("labels", [[1.0, 2.0, 4.0], [None, None, None]])
def test_numbers_are_ordered_by_how_far_apart_they_are(labels):
    found = Differences.of(Regression(labels))
    assert [row["text"] for row in found.rows] == ["b", "a", "c"]
    assert found.groups == {"differ": [0, 1], "all": [0, 1, 2]}
    assert found.rows[0]["label"] == labels[1]
    assert found.rows[0]["student_confidence"] is None
    assert not any(isinstance(value, np.generic) for row in found.rows for value in row.values())
