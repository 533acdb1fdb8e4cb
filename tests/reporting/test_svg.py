"""Axes, ticks and marks of pictures."""

import math
from xml.etree import ElementTree

import pytest

from crild.reporting.svg import Axis, Frame, axis_of, band, circle, cut, line, matrix, number, picture, text, tick_step


def parsed(mark):
    return ElementTree.fromstring(f"<svg>{mark}</svg>")


@pytest.mark.parametrize("values", [(0.31, 0.62), (-3.0, 120.0), (5.0, 5.0), (0.0, 0.0), (1e-6, 2e-6)])
def test_an_axis_holds_its_numbers_and_a_few_round_ticks(values):
    axis = axis_of(values, "x")
    assert axis.low < min(values)
    assert axis.high > max(values)
    assert 2 <= len(axis.ticks) <= 11
    step = axis.ticks[1] - axis.ticks[0]
    assert f"{step:.6e}"[0] in "125"
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


def test_an_axis_with_zero_begins_there():
    assert axis_of([3.0, 9.0], "x", zero=True).low == 0.0
    assert axis_of([-2.0, -1.0], "x", zero=True).high == 0.0


def test_on_a_logarithmic_axis_equal_ratios_are_equally_far():
    axis = axis_of([1.0, 100.0], "x", log=True)
    one, ten, hundred = map(axis.share, (1.0, 10.0, 100.0))
    assert ten - one == pytest.approx(hundred - ten)


def test_numbers_that_are_none_do_not_move_an_axis():
    assert axis_of([0.0, math.nan, math.inf, 1.0], "x") == axis_of([0.0, 1.0], "x")


@pytest.mark.parametrize(("span", "step"), [(0.03, 0.01), (0.2, 0.05), (1.0, 0.2), (5.0, 1.0), (1234.0, 500.0)])
def test_steps_are_one_two_or_five(span, step):
    assert tick_step(span) == pytest.approx(step)


def test_a_point_is_where_it_belongs():
    frame = Frame(Axis(0, 10, "x", ()), Axis(0, 1, "y", ()), width=200, height=100, left=50)
    (left, bottom), (right, top) = frame.at(0, 0), frame.at(10, 1)
    assert left == 50
    assert right < 200
    assert top < bottom < 100
    assert frame.at(5, 0.5) == ((left + right) / 2, (top + bottom) / 2)


def test_a_line_says_the_numbers_of_its_points_and_leaves_out_what_is_none():
    frame = Frame(axis_of([0, 3], "epoch"), axis_of([0, 1], "loss"))
    mark = parsed(line(frame, [(0, math.nan), (1, 0.5), (2, 0.25), (3, 0.125)], "student", "held out"))
    titles = [each.text for each in mark.iter("title")]
    assert titles == ["held out, epoch 1: 0.5", "held out, epoch 2: 0.25", "held out, epoch 3: 0.125"]
    assert len(mark.find("polyline").get("points").split()) == 3
    assert not line(frame, [(0, math.nan)], "student", "nothing")


def test_of_very_many_points_some_say_their_numbers():
    frame = Frame(axis_of([0, 1000], "step"), axis_of([0, 1], "loss"))
    mark = parsed(line(frame, [(i, i / 1000) for i in range(1000)], "student", "training"))
    assert 30 < len(list(mark.iter("title"))) <= 60
    assert len(mark.find("polyline").get("points").split()) == 1000


def test_a_band_goes_there_and_back():
    frame = Frame(axis_of([0, 1], "x"), axis_of([0, 1], "y"))
    points = parsed(band(frame, [(0, 0.1, 0.2), (1, 0.3, 0.6)], "teacher")).find("polygon").get("points").split()
    assert points == [f"{x},{y}" for x, y in (frame.at(0, 0.1), frame.at(1, 0.3), frame.at(1, 0.6), frame.at(0, 0.2))]


def test_texts_and_values_are_escaped():
    nasty = "<script>\"'&"
    for mark in (text(0, 0, nasty), circle(0, 0, 1, "student", nasty), picture([], nasty).__html__()):
        assert "<script>" not in mark
        assert nasty in [*parsed(mark).itertext(), parsed(mark)[0].get("aria-label")]


def test_a_matrix_has_a_cell_for_each_number():
    says = [["a", "b", "c"], ["d", "e", "f"]]
    values = [[0.0, 0.5, 1.0], [None, 1.0, 0.0]]
    found = matrix(values, ["one", "two"], ["x", "y", "z"], "m", says, says, "student", "columns", "lines")
    mark = parsed(found.__html__())
    assert [each.text for each in mark.iter("title")] == list("abcdef")
    shades = [each.get("style") for each in mark.iter("rect")]
    assert shades == [f"fill-opacity:{value or 0.0}" for value in (0.0, 0.5, 1.0, None, 1.0, 0.0)]
    places = [(float(each.get("x")), float(each.get("y"))) for each in mark.iter("rect")]
    assert len(set(places)) == 6
    assert max(x for x, _ in places) < found.width
    assert max(y for _, y in places) < found.height


def test_numbers_and_names_are_short():
    assert [number(x) for x in (None, math.nan, 0.123456, 12345.6, 3)] == ["-", "-", "0.1235", "12,346", "3"]
    assert cut("a name that is too long for it") == "a name that i…"
    assert cut("short") == "short"
