"""The table of scores, and what it says of differences."""

import pytest

from crild.metrics import paired_interval
from crild.run.sections.scores import scores, served_ms, verdicts
from crild.run.sections.seen import Seen
from tests.run.finished import finished


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    return Seen(finished(tmp_path_factory.mktemp("runs") / "run", exported=True))


def test_differences_are_paired_and_in_points(seen):
    table = scores(seen)[0]
    lines = {row[0]: dict(zip(table.headings, row, strict=True)) for row in table.rows}
    assert list(lines) == [
        "teacher",
        "student without teacher",
        "student",
        "served, onnx int8",
        "always the same answer",
    ]
    rows = seen.rows
    low, high = paired_interval(rows.measure, seen.truth, seen.answers["student"], seen.answers["teacher"])
    assert lines["student"]["95 % of that"] == f"{100 * low:+.1f} to {100 * high:+.1f}"
    teacher, student = (seen.models[role].score for role in ("teacher", "student"))
    assert lines["student"]["to teacher, points"] == pytest.approx(100 * (student - teacher), abs=0.006)
    assert lines["student"]["kept, %"] == pytest.approx(100 * student / teacher, abs=0.06)
    assert lines["teacher"]["to teacher, points"] is None


def test_the_student_without_a_teacher_costs_what_the_student_costs(seen):
    table = scores(seen)[0]
    lines = {row[0]: row[-3:] for row in table.rows}
    assert lines["student without teacher"] == lines["student"]


def test_served_it_takes_the_students_time_times_what_the_export_saved(seen):
    assert served_ms(seen.student, seen.run.export) == pytest.approx(seen.student.latency_ms / 4)  # 6 ms became 1.5


def test_every_difference_is_said(seen):
    found = verdicts(seen)
    assert len(found) == 3
    assert found[0].startswith("The student is worse than its teacher, by ")
    assert found[1].startswith("What distilling was worth: +")
    assert (
        found[2] == "Served, it is not worse than the student in PyTorch by more than 0.6 points (95 %), on 200 rows."
    )
