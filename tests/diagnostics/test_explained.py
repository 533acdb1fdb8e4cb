"""The share of the teacher's vectors that the student's explain."""

import numpy as np
import pytest

from crild.diagnostics import explained_share

RNG = np.random.default_rng(0)


def split(x):
    return x[:300], x[300:]


def test_what_is_a_linear_map_of_the_students_is_explained_and_noise_is_not():
    """Of a teacher that is half a map of the student's vectors and half noise, half can be told."""
    student, noise = RNG.normal(size=(500, 8)), RNG.normal(size=(500, 20))
    signal = student @ np.linalg.qr(RNG.normal(size=(20, 8)))[0].T * np.sqrt(20 / 8)  # as long as the noise
    for share, teacher in ((1.0, signal + 5), (0.5, signal + noise + 5), (0.0, noise)):
        found = explained_share(split(student), split(teacher))
        assert set(found) == {"linear"}  # another width
        assert found["linear"]["train"] == pytest.approx(share, abs=0.05)
        assert found["linear"]["held_out"] == pytest.approx(share, abs=0.07)


def test_what_the_regression_fits_by_heart_is_no_share_of_held_out_rows():
    student, teacher = RNG.normal(size=(500, 280)), RNG.normal(size=(500, 280)) + 0.1
    found = explained_share(split(student), split(teacher))
    assert found["linear"]["train"] > found["linear"]["held_out"]
    assert found["linear"]["held_out"] < 0.05


def test_as_it_is():
    """1 - sum of squared differences / sum of squares around the mean, counted by hand."""
    teacher = RNG.normal(size=(500, 4)) + 3
    student = teacher + RNG.normal(size=(500, 4)) * 0.5
    found = explained_share(split(student), split(teacher))["as_is"]
    for name, x, y in zip(("train", "held_out"), split(student), split(teacher), strict=True):
        assert found[name] == pytest.approx(1 - ((x - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum())
    same = explained_share(split(teacher), split(teacher))
    assert same["as_is"] == {"train": 1, "held_out": 1}
