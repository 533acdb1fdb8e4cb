"""Figures: what is drawn is what is in their tables."""

from xml.etree import ElementTree

import pytest

from crild.reporting import figures
from crild.reporting.figures import Costed, Curve, Ranked, Reliable
from crild.reporting.page import Table


def titles(figure):
    return [each.text for each in ElementTree.fromstring(f"<svg>{figure.svg.marks}</svg>").iter("title")]


def circles(figure, kind):
    found = ElementTree.fromstring(f"<svg>{figure.svg.marks}</svg>").iter("circle")
    return [each for each in found if kind in each.get("class").split()]


def test_curves_of_other_places_share_a_table():
    lines = [Curve("a", "student", [0, 1, 2], [3.0, 2.0, 1.0]), Curve("b", "teacher", [1, 3], [5.0, None])]
    found = figures.curves("Loss", lines, "epoch", "loss", more={"gap": [0.1, 0.2, 0.3]})
    assert found.table.headings == ("epoch", "a", "b", "gap")
    assert found.table.rows == ((0, 3.0, None, 0.1), (1, 2.0, 5.0, 0.2), (2, 1.0, None, 0.3), (3, None, None, None))
    assert "b, epoch 1: 5" in titles(found)
    assert len(titles(found)) == 4  # what is None is nowhere


def test_the_area_of_a_circle_is_the_size():
    models = [
        Costed("teacher", "teacher", 0.9, 0.88, 0.92, 10.0, 90e6),
        Costed("student", "student", 0.8, 0.7, 0.85, 3.0, 30e6),
    ]
    found = figures.score_and_latency(models, "accuracy")
    large, small = (float(circles(found, kind)[0].get("r")) for kind in ("teacher", "student"))
    assert (large / small) ** 2 == pytest.approx(3, rel=0.02)
    assert "student: 0.8000 (0.7000 to 0.8500), 3.00 ms a row, 30.0 MB" in titles(found)
    x = {kind: float(circles(found, kind)[0].get("cx")) for kind in ("teacher", "student")}
    assert x["student"] < x["teacher"]


def test_a_confusion_matrix_says_shares_of_a_labels_rows():
    found = figures.confusion("Student", ["a", "b"], [[6, 2], [0, 0]], "student")
    assert "label a, answer b: 2 of 8 rows (25.0%)" in titles(found)
    assert "label b, answer a: 0 of 0 rows" in titles(found)
    assert found.table.rows == (("a", 6, 2), ("b", 0, 0))


def test_heat_has_no_colour_at_its_least_and_all_at_its_largest():
    found = figures.heat("H", [[2.0, 4.0], [None, 3.0]], "second", "first", "student", places=[-0.5, 0.5])
    shades = [e.get("style") for e in ElementTree.fromstring(f"<svg>{found.svg.marks}</svg>").iter("rect")]
    assert shades == ["fill-opacity:0.0", "fill-opacity:1.0", "fill-opacity:0.0", "fill-opacity:0.5"]
    assert titles(found)[0] == "first -0.5, second -0.5: 2"


def test_a_reliable_model_lies_on_the_dashed_line():
    found = figures.reliability_curves("R", [Reliable("student", "student", [0.2, 0.8], [0.2, 0.8], [10, 30])])
    points = [(float(c.get("cx")), float(c.get("cy"))) for c in circles(found, "student")]
    rule = next(
        e for e in ElementTree.fromstring(f"<svg>{found.svg.marks}</svg>").iter("line") if e.get("class") == "rule"
    )
    x1, y1, x2, y2 = (float(rule.get(name)) for name in ("x1", "y1", "x2", "y2"))
    for x, y in points:
        assert (y - y1) / (x - x1) == pytest.approx((y2 - y1) / (x2 - x1), rel=0.01)


def test_bars_are_as_long_as_their_numbers():
    found = figures.bars("B", {"a": {"x": 10.0}, "b": {"x": 5.0}}, {"x": "student"}, "rows")
    first, second = (
        float(e.get("width")) for e in ElementTree.fromstring(f"<svg>{found.svg.marks}</svg>").iter("rect")
    )
    assert first == pytest.approx(2 * second, rel=0.01)
    assert found.legend == ()


def test_methods_that_are_not_told_apart_are_joined():
    ranked = [
        Ranked(name, "also1", mean, (("seed 1", mean), ("seed 2", mean + 0.1)))
        for name, mean in zip("abcd", (4, 3, 2, 1), strict=True)
    ]
    found = figures.critical("C", ranked, "score", [(0, 1), (1, 3)], Table(("method",), ()))
    joined = [each for each in titles(found) if each.startswith("not told apart")]
    assert joined == ["not told apart: a, b", "not told apart: b, c, d"]
    assert "a, seed 2: 4.1" in titles(found)


def test_residuals_have_their_line_at_zero():
    found = figures.dots("D", [(0.0, 0.5), (5.0, -0.25)], "label", "answer less label", "student")
    rule = next(
        e for e in ElementTree.fromstring(f"<svg>{found.svg.marks}</svg>").iter("line") if e.get("class") == "rule"
    )
    high, low = (float(c.get("cy")) for c in circles(found, "student"))
    assert high < float(rule.get("y1")) < low
