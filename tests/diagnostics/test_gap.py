"""Gaps from a log, and of a finished model."""

from crild.diagnostics import logged_gaps
from crild.diagnostics.gap import end_gap


def entry(step, epoch, train, held_out, **more):
    return {"stage": "kd", "step": step, "epoch": epoch, "train": train, "held_out": held_out, **more}


def test_a_log_becomes_a_curve_a_term():
    found = logged_gaps(
        [
            entry(0, 0.0, {}, {"kd": 4.0, "hidden": 1.0}),
            entry(5, 1.0, {"kd": 2.0, "hidden": 0.5}, {"kd": 3.0, "hidden": 0.25}, score=0.5),
            entry(9, 1.8, {"kd": 1.0}, {"kd": 3.5}, score=0.75),
        ]
    )
    assert found == {
        "epoch": [0.0, 1.0, 1.8],
        "step": [0, 5, 9],
        "terms": {
            "kd": {"train": [None, 2.0, 1.0], "held_out": [4.0, 3.0, 3.5], "gap": [None, 1.0, 2.5]},
            "hidden": {"train": [None, 0.5, None], "held_out": [1.0, 0.25, None], "gap": [None, -0.25, None]},
        },
        "score": [None, 0.5, 0.75],
    }
    assert logged_gaps([]) == {"epoch": [], "step": [], "terms": {}, "score": []}


def test_overfitting_is_above_zero_for_losses_and_scores():
    found = end_gap({"loss": 0.25, "score": 0.75}, {"loss": 1.0, "score": 0.5})
    assert found["loss"] == {"train": 0.25, "held_out": 1.0, "gap": 0.75}
    assert found["score"] == {"train": 0.75, "held_out": 0.5, "gap": 0.25}
