"""Pages: their parts, and a figure as a file of its own."""

import re
from xml.etree import ElementTree

from crild.reporting.figures import Curve, curves
from crild.reporting.page import (
    Details,
    Listing,
    Section,
    Table,
    Told,
    Words,
    figures_together,
    render,
    standalone,
    words,
)

NASTY = "\"><script>alert(1)</script>\n&'"
FIGURE = curves(NASTY, [Curve(NASTY, "student", [0, 1], [1.0, 2.0])], NASTY, NASTY, NASTY)


def test_whatever_a_part_says_is_escaped():
    table = Table(
        (NASTY, "n"), ((NASTY, 1.0), (Told(NASTY, 2.0, True), None)), NASTY, ("student", "both"), {"both": NASTY}, NASTY
    )
    parts = (Words(NASTY), Words(NASTY, code=True), table, Listing((NASTY,)), Details(NASTY, (table,)), FIGURE)
    page = render(NASTY, [NASTY], [Section("one", NASTY, parts), Section("two", NASTY, parts)], NASTY)
    assert page.count("<script>") == 1  # its own
    assert "alert(1)</script>" not in page
    assert page.count("alert(1)") > 20


def test_sections_without_parts_are_left_out():
    page = render("A", [], [Section("empty", "Empty", ()), Section("full", "Full", words("said", ""))])
    assert re.findall('<section id="([a-z]+)">', page) == ["full"]
    assert "<nav" not in page
    assert page.count("<p>said</p>") == 1


def test_cells_sort_by_their_number_and_show_their_words():
    rows = (("a", Told("0.90 ± 0.01", 0.9), 12345.678), ("b", Told("failed"), None))
    page = render("A", [], [Section("s", "S", (Table(("m", "score", "n"), rows),))])
    assert re.findall(r'data-value="([^"]*)">([^<]*)<', page) == [
        ("0.9", "0.90 ± 0.01"), ("12345.678", "12,346"), ("", "failed"), ("", "-"),
    ]  # fmt: skip
    assert page.count('aria-sort="none" class="number"') == 2


def test_figures_that_follow_one_another_stand_together():
    one = words("a")[0]
    assert [len(each) for each in figures_together([one, FIGURE, FIGURE, one, one, FIGURE])] == [1, 2, 1, 1, 1]


def test_a_figure_as_a_file_has_its_title_and_legend_inside():
    lines = [Curve(f"a rather long name {i}", "student", [0, 1], [1.0, 2.0]) for i in range(4)]
    root = ElementTree.fromstring(standalone(curves(f"Loss {NASTY}", lines, "epoch", "loss")))
    texts = [" ".join(each.text.split()) for each in root.iter() if each.tag.endswith("}text") and each.text]
    assert texts[0] == "Loss \"><script>alert(1)</script> &'"
    assert [each.name for each in lines] == texts[1:5]
    keys = [
        (float(e.get("x1")), float(e.get("y1")))
        for e in root.iter()
        if e.get("class") == "line student" and e.get("x1")
    ]
    assert len(set(keys)) == 4
    width, height = map(float, root.get("viewBox").split()[2:])
    assert all(x < width and y < height for x, y in keys)
    assert not [each for each in root.iter() if each.tag.endswith("}script")]
