"""What is on the frontier, what qualifies, and what the table and the picture say."""

import json
from xml.etree import ElementTree

import pytest

from crild.pareto.picture import picture, tick_step
from crild.pareto.result import Frontier, Served, fastest, on_frontier

INTERVAL = (-0.02, 0.01)


def served(name, score, ms, size, difference=None):
    return Served(name, score, score - 0.9 if difference is None else difference, INTERVAL, ms, size, f"out/{name}")


TEACHER = Served("teacher", 0.9, 0.0, (0.0, 0.0), 40.0, 90_000_000, "t")
STATIC = served("static", 0.7, 0.05, 12_000_000)
SMALL = served("1 layer", 0.85, 1.0, 14_000_000)
WORSE = served("1 layer x 192", 0.84, 1.1, 14_500_000)
GOOD = served("3 <layers>", 0.895, 3.0, 18_000_000)
TRIMMED = served("3 layers, auto", 0.895, 3.1, 6_000_000)
SKIPPED = Served("6 layers", latency_ms=7.0, left_out="not trained: slower than 3 layers, which qualifies")
ALL = (STATIC, SMALL, WORSE, GOOD, TRIMMED, SKIPPED)


def frontier(students=ALL, within=0.01, max_latency=None):
    best = fastest(students, within, max_latency)
    return Frontier("accuracy", 200, within, max_latency, 1, 2, TEACHER, tuple(students), best and best.name, "out")


def test_on_the_frontier_is_what_no_other_beats_in_time_score_and_size():
    assert on_frontier(ALL) == [STATIC, SMALL, GOOD, TRIMMED]
    assert on_frontier([SMALL, served("twin", 0.85, 1.0, 14_000_000)])[1].name == "twin"  # equals beat none


@pytest.mark.parametrize(
    ("within", "limit", "name"),
    [(0.01, None, TRIMMED.name), (0.05, None, "1 layer"), (0.2, None, "static"), (0.05, 0.5, None), (0.001, None, None),
     (0.005, None, TRIMMED.name)],
)  # fmt: skip
def test_the_fastest_that_qualifies_and_of_those_as_fast_the_smallest(within, limit, name):
    found = fastest(ALL, within, limit)
    assert (found and found.name) == name


def test_the_table_and_the_verdict():
    found = frontier()
    table = found.table()
    assert list(table.index) == ["teacher", *(each.name for each in ALL)]
    assert table.loc["1 layer", ["score", "ms", "times_faster", "MB"]].tolist() == [0.85, 1.0, 40.0, 14.0]
    assert table.verdict.tolist() == [
        "", "on the frontier", "on the frontier", "another is faster and as good", "on the frontier",
        "fastest that qualifies", SKIPPED.left_out,
    ]  # fmt: skip
    assert str(found).splitlines()[0] == "served students: accuracy on 200 held-out rows, milliseconds a batch of 1 " \
        "with 2 threads"  # fmt: skip
    first, second = found.remarks
    assert first == (
        "the fastest within 0.01 of the teacher's accuracy is 3 layers, auto: -0.0050 (95 % interval -0.0200 to "
        "+0.0100), 12.9 times as fast; it is in out/3 layers, auto"
    )
    assert "chosen among 5" in second
    assert "no student is within 0.001 of the teacher's accuracy: the best, 3 layers, auto, is 0.0050 below it" in str(
        frontier(within=0.001)
    )
    assert "accuracy and 2 ms: none could be served" in str(frontier([SKIPPED], max_latency=2.0))


def test_it_reads_as_plain_values():
    plain = json.loads(json.dumps(frontier().to_dict()))
    assert [each["on_frontier"] for each in plain["students"]] == [True, True, False, True, True, False]
    assert (plain["fastest"], frontier()["within"]) == (TRIMMED.name, 0.01)


def test_the_picture_has_a_circle_for_each_served_model_where_it_belongs():
    for found in (frontier(), frontier(max_latency=2.0), frontier([SKIPPED])):
        drawing = ElementTree.fromstring(picture(found))  # names are escaped
        circles = [each.attrib for each in drawing.iter("{http://www.w3.org/2000/svg}circle")]
        shown = [found.teacher, *(each for each in found.students if each.score)]
        assert len(circles) == len(shown)
        at = {
            each.name: (float(c["cx"]), float(c["cy"]), float(c["r"])) for each, c in zip(shown, circles, strict=True)
        }
        if found.students == ALL:
            assert at["static"][0] < at["1 layer"][0] < at["3 <layers>"][0] < at["teacher"][0]
            assert at["static"][1] > at["1 layer"][1] > at["3 <layers>"][1] > at["teacher"][1]  # svg counts downwards
            assert (at["teacher"][2] / at["3 <layers>"][2]) ** 2 == pytest.approx(5, rel=0.02)
    assert [tick_step(span) for span in (0.03, 0.2, 1.0)] == pytest.approx([0.01, 0.05, 0.2])
