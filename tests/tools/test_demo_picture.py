"""The README's picture."""

import re

from tools.demo_picture import PICTURE, picture


def model(score, latency, size):
    return {"score": score, "interval": [score - 0.02, score + 0.02], "latency_ms": latency, "bytes": size * 1e6}


def test_models_stand_where_they_score():
    result = {
        "teacher": model(0.9, 10.0, 90), "kd": model(0.85, 5.0, 40), "student": model(0.8, 5.0, 40),
        "control": model(0.7, 5.0, 40), "served": model(0.79, 1.0, 8), "metric": "f1", "constant": {"score": 0.5},
    }  # fmt: skip
    text = picture(result)
    assert text == picture(result)
    for name in ("teacher", "student without teacher", "student, plain KD", "student, CR-ILD", "served", "f1"):
        assert f">{name}" in text
    uses = re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)" style="fill: #\w+; fill-opacity', text)
    teacher, control, kd, student, served = ((float(x), float(y)) for x, y in uses)
    assert teacher[1] < kd[1] < student[1] < served[1] < control[1]
    assert served[0] < control[0] < student[0] < teacher[0]
    assert abs(kd[0] - student[0]) < 0.05 * (teacher[0] - student[0])
    assert text != picture(result | {"served": model(0.79, 2.0, 8)})


def test_the_readme_shows_it():
    assert PICTURE.is_file()
    assert "(docs/demo.svg)" in (PICTURE.parents[1] / "README.md").read_text(encoding="utf-8")
