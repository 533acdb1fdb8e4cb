"""The epoch that each rule keeps, from a run's history."""

import json

import pytest

from tools.selection_rules import rules

HISTORY = [
    {"epoch": 0.0, "held_out": {"task": 0.1}},  # before training: no score, and not kept
    {"epoch": 1.0, "held_out": {"task": 0.7}, "score": 0.8, "validation": 0.70},
    {"epoch": 2.0, "held_out": {"task": 0.5}, "score": 0.7, "validation": 0.74},
    {"epoch": 3.0, "held_out": {"task": 0.9}, "score": 0.8, "validation": 0.72},
    {"epoch": 4.0, "held_out": {"task": 1.2}, "score": 0.6, "validation": 0.71},
]


@pytest.mark.parametrize(("method", "stage"), [("ft", "student"), ("kd", "kd")])
def test_each_rule_keeps_its_epoch(tmp_path, method, stage):
    grid = "tasks: {a task: {data: rows.csv}}\nmethods: [kd]\nseeds: [43]\noptions: {base: encoder}\n"
    (tmp_path / "grid.yaml").write_text(grid)
    folder = tmp_path / "runs" / "a-task" / "full" / method / "43"
    history = folder / "stages" / stage / "history.jsonl"
    history.parent.mkdir(parents=True)
    history.write_text("".join(json.dumps(entry) + "\n" for entry in HISTORY))
    assert rules(tmp_path) == []  # not finished
    (folder / "result.json").write_text("{}")
    kept = {"score": 0.72, "loss": 0.74, "last": 0.71, "best": 0.74, "epoch": 3.0}
    assert rules(tmp_path) == [
        {"grid": tmp_path.name, "task": "a task", "condition": "full", "method": method, "seed": 43, **kept}
    ]
    unfollowed = [{k: v for k, v in entry.items() if k != "validation"} for entry in HISTORY]
    history.write_text("".join(json.dumps(entry) + "\n" for entry in unfollowed))
    assert rules(tmp_path) == []  # validation was not followed
