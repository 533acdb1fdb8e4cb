"""A temperature is offered where it is worth it."""

import numpy as np
import pytest
from scipy.special import softmax

from crild.calibration import expected_calibration_error, reliability
from crild.run.folder import RunFolder
from crild.run.sections.calibration import advised, calibration
from crild.run.sections.seen import Seen
from tests.run.finished import finished


def sharpened(run, factor):
    """The run, with the student's logits times a factor."""
    for name, frame in (("predictions", run.predictions), ("selection", run.selection_predictions)):
        logits = np.log(np.stack(list(frame["student_probabilities"])))
        frame["student_probabilities"] = list(softmax(factor * logits, axis=1))
        frame.to_parquet(run.path / f"{name}.parquet")
    return RunFolder(run.path)


def test_a_model_that_is_too_sure_is_told_and_cooled(tmp_path):
    said, picture, table = calibration(Seen(sharpened(finished(tmp_path / "run", rows=400), 8.0)))
    (student,) = (row for row in table.rows if row[0] == "student")
    _, confidence, right, error, temperature, corrected = student
    assert confidence > right
    assert temperature > 1.5
    assert corrected < error
    assert said.text.startswith(f"Divide the student's logits by {temperature:.2f}")
    assert [name for _, name in picture.legend] == ["teacher", "student", "student, with its temperature"]


def test_a_temperature_that_does_not_carry_over_is_not_offered():
    assert advised("student", 1.2, 0.05, 0.06, 60).startswith(
        "No temperature is offered: 1.20 fits the 60 selection rows"
    )


def test_bins_of_the_curve_add_up_to_the_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1.0, 500)
    correct = rng.random(500) < confidence**2
    mean, accuracy, rows = reliability(confidence, correct)
    assert rows.sum() == 500
    assert (np.abs(mean - accuracy) * rows).sum() / 500 == pytest.approx(
        expected_calibration_error(confidence, correct)
    )
