"""Rows on which teacher and student differ."""

import numpy as np
import pytest

from crild.run.sections.differing import differing
from crild.run.sections.seen import LONGEST, Seen
from tests.run.finished import finished


def test_other_answers_come_first_and_then_the_farthest_apart(tmp_path):
    seen = Seen(finished(tmp_path / "run"))
    said, table = differing(seen)
    frame = seen.rows.held_out
    differ = int((frame["teacher"] != frame["student"]).sum())
    assert said.text.startswith(f"Teacher and student answer {differ} of {len(frame)} held-out rows differently")
    assert len(table.rows) == len(frame)
    assert all(teacher != student for _, _, teacher, student, _ in table.rows[:differ])
    assert all(teacher == student for _, _, teacher, student, _ in table.rows[differ:])
    for part in (table.rows[:differ], table.rows[differ:]):
        assert [row[-1] for row in part] == sorted((row[-1] for row in part), reverse=True)
    ours, theirs = (np.stack(list(frame[f"{role}_probabilities"])) for role in ("student", "teacher"))
    apart = dict(zip(frame["text"], np.abs(ours - theirs).sum(1) / 2, strict=True))
    assert table.rows[0][-1] == pytest.approx(apart[table.rows[0][0]], abs=1e-4)


def test_rows_can_be_chosen_by_who_is_right(tmp_path):
    table = differing(Seen(finished(tmp_path / "run")))[1]
    for (_, label, teacher, student, _), kind in zip(table.rows, table.kinds, strict=True):
        right = (label == teacher, label == student)
        names = {(True, False): "teacher-alone", (False, True): "student-alone", (True, True): "both"}
        assert kind == names.get(right, "neither")
    assert set(table.kinds) <= set(table.choices)


def test_long_texts_are_cut(tmp_path):
    table = differing(Seen(finished(tmp_path / "run", rows=20, texts=("word " * 1000,))))[1]
    longest = max((row[0] for row in table.rows), key=len)
    assert len(longest) == LONGEST
    assert longest.endswith("…")


def test_numbers_differ_by_their_distance(tmp_path):
    (table,) = differing(Seen(finished(tmp_path / "run", kind="regression", rows=30)))
    distances = [abs(teacher - student) for _, _, teacher, student, _ in table.rows]
    assert distances == sorted(distances, reverse=True)
    assert table.choices == {}
