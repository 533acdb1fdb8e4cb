"""The screen of `crild check`: 80 columns, and all of the facts."""

from io import StringIO

import pytest
from rich.console import Console

from crild.data.doctor import Cut, check_data, findings
from crild.data.suspects import Suspect
from crild.reporting.check import WIDTH, screen, suspects_table
from tests.data.patients import graded, healthy, listed, task_of


def printed(*parts):
    file = StringIO()
    for part in parts:
        Console(file=file, width=WIDTH, highlight=False).print(part)
    return file.getvalue()


@pytest.mark.parametrize("rows", [healthy, graded, listed])
def test_the_screen_of_healthy_data(rows, tmp_path):
    checks = check_data(task_of(tmp_path, rows(), rows(150, 10_000)), Cut(0.0, 128, 512))
    text = printed(screen(checks, [], []))
    assert len(text.splitlines()) < 12
    assert "train 540, selection 60, validation 150" in text
    assert f"{checks.constant:.4f} ({checks.metric})" in text
    for name, count in checks.labels.items():
        assert f"{name} {count}" in text
    assert ("0 to 5, mean" in text) == (rows is graded)
    assert text.splitlines()[-1].split() == ["verdict", "nothing", "wrong", "was", "found"]


def test_everything_wrong_at_once_stays_in_80_columns(tmp_path):
    train = [{"text": "[b]" + "word" * 60 + f" {i} " + "x " * 99, "label": "an overlong name " * 3} for i in range(40)]
    train += [{"text": "?!", "label": "[red]odd"}, {"text": "?!", "label": "even"}]
    checks = check_data(task_of(tmp_path, train), Cut(1.0, 16, 16))
    found = findings(checks)
    text = printed(
        screen(checks, found, ["a note of a path " + "/tmp" * 40]),
        suspects_table([Suspect(100_000, train[0]["text"], "an overlong name " * 3, "[red]odd", 0.01)] * 20),
    )
    assert max(map(len, text.splitlines())) <= WIDTH
    for finding in found:
        if finding.level == "warning":
            assert finding.text.split()[0] in text
    assert "WARNING" in text
    assert "[red]odd" in text  # no markup
    assert "verdict   hopeless: " in text
