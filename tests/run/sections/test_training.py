"""Terms by epoch, and the gap."""

from crild.run.sections.seen import Seen
from crild.run.sections.training import training
from tests.run.finished import finished


def test_each_term_of_each_stage_has_its_gap(tmp_path):
    parts = training(Seen(finished(tmp_path / "run", rows=20)))
    pictures = {part.title: part for part in parts if part.kind == "figure"}
    assert list(pictures) == ["teacher: task", "teacher: score", "ILD: attention", "ILD: hidden", "KD: kd", "KD: score",
                              "control: task", "control: score"]  # fmt: skip
    rows = pictures["ILD: hidden"].table.rows
    assert pictures["ILD: hidden"].table.headings == ("epoch", "training", "held out", "gap")
    assert rows[0] == (0.0, None, 1.0, None)  # nothing was trained before the first step
    assert all(gap == held_out - train for _, train, held_out, gap in rows[1:])
    ends = parts[-1]
    assert ends.rows[1] == ("ILD", "attention", 0.2, 1.0, 0.8, 0.6, 2.0)  # held out is lowest at epoch 2


def test_a_run_without_a_log_has_none(tmp_path):
    run = finished(tmp_path / "run", rows=20)
    for file in run.path.glob("stages/*/history.jsonl"):
        file.unlink()
    assert training(Seen(run)) == ()
