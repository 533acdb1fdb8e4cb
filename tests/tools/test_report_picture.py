"""The README's picture of a report."""

import pytest

from crild.run.report import write_report
from tests.run.finished import finished
from tools.report_picture import HEIGHT, PICTURE, WIDTH, take


def size(png):
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


@pytest.mark.slow
@pytest.mark.needs_browser
def test_it_is_the_beginning_of_a_report(tmp_path):
    take(write_report(finished(tmp_path / "run", rows=60)), tmp_path / "picture.png")
    assert size((tmp_path / "picture.png").read_bytes()) == (WIDTH, HEIGHT)


def test_the_readme_shows_it():
    assert size(PICTURE.read_bytes()) == (WIDTH, HEIGHT)
    assert "(docs/report.png)" in (PICTURE.parents[1] / "README.md").read_text(encoding="utf-8")
