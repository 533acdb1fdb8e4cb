"""The models of a run by score and cost."""

from dataclasses import replace

from crild.run.picture import costed, scores_picture
from tests.run.finished import finished


def test_times_that_nobody_measured_are_not_drawn(tmp_path):
    result = finished(tmp_path / "run", rows=20).result
    assert [each.name for each in costed(result)] == ["teacher", "student without teacher", "student"]
    assert scores_picture(result).title.startswith("Score and latency")
    student = replace(result.models["student"], latency_ms=None)
    untimed = replace(result, models=result.models | {"student": student})
    assert costed(untimed) == []
    rows = scores_picture(untimed).table.rows
    assert dict(rows) == {each.name: each.score for each in costed(result)}
