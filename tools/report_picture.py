"""The README's picture of a report: its beginning, as Chromium shows it.

python -m tools.report_picture runs/demo/cr-ild

The report is written anew first, from what is in the run's folder.
"""

import sys
from pathlib import Path

from crild.run.report import report
from tools.browser import chromium, resize, screenshot

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "report.png"
WIDTH, HEIGHT = 1200, 1500  # pixels: scores, what they say, score against latency, the first curves


def take(page: Path, picture: Path) -> None:
    """Write a picture of the beginning of a page."""
    with chromium() as driver:
        resize(driver, WIDTH)
        driver.get(page.absolute().as_uri())
        screenshot(driver, picture, HEIGHT)


if __name__ == "__main__":
    take(report(sys.argv[1]), PICTURE)
    print(f"{PICTURE.name} in {PICTURE.parent}/")
