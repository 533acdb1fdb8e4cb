"""The README's picture."""

import re

from tools.demo_picture import PICTURE, picture


def model(score, latency, size):
    return {"score": score, "interval": [score - 0.02, score + 0.02], "latency_ms": latency, "bytes": size * 1e6}


def test_models_stand_where_they_score():
    run = {"teacher": model(0.9, 10.0, 90), "metric": "f1", "constant": {"score": 0.5}, "student": model(0.8, 5.0, 40),
           "control": {"score": 0.7, "interval": [0.68, 0.72]}}  # fmt: skip
    slow = {"teacher": model(0.9, 20.0, 90), "student": model(0.85, 10.0, 40)}  # timed on a machine twice as slow
    text = picture(run, slow)
    assert text == picture(run, slow)
    for name in ("teacher", "student without teacher", "student, plain KD", "student, CR-ILD", "f1"):
        assert f">{name}</text>" in text
    uses = re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)" style="fill: #\w+; fill-opacity', text)
    (teacher_x, teacher_y), (control_x, control_y), (kd_x, kd_y), (student_x, student_y) = (
        (float(x), float(y)) for x, y in uses
    )
    assert teacher_y < kd_y < student_y < control_y
    assert control_x < student_x < teacher_x
    assert abs(kd_x - student_x) < 0.05 * (teacher_x - student_x)
    assert text != picture(run, run)


def test_the_readme_shows_it():
    assert PICTURE.is_file()
    assert "(docs/demo.svg)" in (PICTURE.parents[1] / "README.md").read_text(encoding="utf-8")
