"""The scale benchmark fits what it says, and the guide shows its figures."""

import json
from pathlib import Path

from benchmarks.scale import exponent, markdown

ROOT = Path(__file__).parents[2]


def test_an_exponent_is_of_what_comes_to_the_fewest_rows():
    assert exponent({1000: 600, 10_000: 603, 100_000: 630, 1_000_000: 900}) == 1.0
    assert exponent({1: 5, 100: 15, 10_000: 105}) == 0.5
    assert exponent({1000: 6, 10_000: 7}) is None
    assert exponent({1000: 6, 10_000: 5, 100_000: 6, 1_000_000: 9}) is None


def test_the_guide_shows_the_committed_figures_and_they_are_within_the_bounds():
    result = json.loads((ROOT / "benchmarks/results/scale.json").read_text())
    page = (ROOT / "benchmarks/results/scale.md").read_text()
    assert page == markdown(result)
    assert page[page.index("| rows") :] in (ROOT / "docs/guide.md").read_text()
    assert max(run["mb"] for run in result["rows"]["1000000"].values()) < 3000
    assert result["rows"]["100000"]["cold"]["start"] < 30
