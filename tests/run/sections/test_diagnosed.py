"""Figures of diagnostics in a report."""

from crild.run.sections.diagnosed import diagnosed
from tests.run.finished import finished


def test_a_run_that_was_not_diagnosed_says_how(tmp_path):
    (said,) = diagnosed(finished(tmp_path / "run", rows=20))
    assert "crild diagnose run" in said.text


def test_every_diagnostic_is_shown(tmp_path):
    parts = diagnosed(finished(tmp_path / "run", rows=20, diagnosed=True))
    titles = [part.title for part in parts[1:]]
    assert titles == [
        "Robustness to noise on the weights, held-out rows",
        "Loss surface: the task's loss",
        "Loss surface: the loss to the teacher",
        "Loss surface of the student: the task's loss, training rows",
        "Likeness of layers (linear CKA): student without teacher",
        "Likeness of layers (linear CKA): student",
        "Linear probes, held-out rows",
        "The finished models",
        "Share of what the teacher's head reads that is explained (R²)",
        "Largest Hessian eigenvalue",
    ]
    noise = parts[1]
    assert noise.table.rows[-1] == (0.4, 0.9 - 0.3 * 0.4, 0.9 - 0.4, 0.9 - 0.6 * 0.4)
    to_teacher = parts[3]
    assert to_teacher.table.rows[1] == (0.0, None, None)  # a loss that overflowed
