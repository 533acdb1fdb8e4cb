"""Tables of runs: numbers by hand, failures, blocks, ranks."""

import math

import pytest

from crild.errors import CrildError
from crild.grid.formats import csv_text, latex, markdown
from crild.grid.page import html
from crild.grid.statistics import NO_SPREAD, TEST, TOO_FEW
from crild.grid.table import Failure, error_of, natural, summarise
from tests.grid.records import CLAIM, FIVE, METHODS, grid, rows, run, several, shown


def test_numbers_by_hand():
    summary = summarise(grid(FIVE), CLAIM, "cr-ild", METHODS)
    (block,) = summary.blocks
    assert (block.task, block.condition, block.metric) == ("RTE", "full", "accuracy")
    assert [(row.name, row.role) for row in block.rows] == [
        ("teacher", "teacher"), ("ft", "control"), ("cr-ild", "method"), ("kd", "method"),
    ]  # fmt: skip
    row = rows(summary)
    assert row["teacher"].mean == pytest.approx(0.92)
    assert row["teacher"].deviation == pytest.approx(math.sqrt(0.002))  # 4 x 0.02^2 + 0.08^2 = 0.008, over 4
    assert row["teacher"].kept == 1
    assert (row["teacher"].rank, row["teacher"].verdict, row["teacher"].difference) == (None, "", None)
    assert row["cr-ild"].mean == pytest.approx(0.83)
    assert row["cr-ild"].deviation == pytest.approx(0.0158113883)
    assert row["cr-ild"].kept == pytest.approx(0.83 / 0.92)
    assert (row["cr-ild"].rank, row["cr-ild"].verdict, row["cr-ild"].difference) == (1, "reference", None)
    assert (row["kd"].rank, row["ft"].rank) == (2, 3)
    assert row["kd"].deviation == pytest.approx(0, abs=1e-15)
    assert row["kd"].difference == pytest.approx(-0.03)  # t = -4.24; among three methods |t| = 3.9 is needed
    assert row["kd"].verdict == "worse than cr-ild"
    assert 0.0132 < row["kd"].p < 0.05  # more than for two methods alone
    # differences -0.11, -0.10, -0.10, -0.10, -0.09: mean -0.1, deviation 0.00707, t = -31.6
    assert row["ft"].difference == pytest.approx(-0.1)
    assert block.comparison.find("ft", "cr-ild").t == pytest.approx(-0.1 / math.sqrt(0.00005 / 5), rel=1e-6)
    assert row["ft"].verdict == "worse than cr-ild"
    assert row["cr-ild"].parameters == 1000
    assert not summary.has_best
    assert summary.ranks.average == {"ft": 3, "cr-ild": 1, "kd": 2}


def test_better_and_not_told_apart():
    scores = FIVE | {"new": [0.91, 0.92, 0.93, 0.94, 0.96], "same": [0.82, 0.81, 0.84, 0.83, 0.85]}
    row = rows(summarise(grid(scores), "", "cr-ild", [*METHODS, "new", "same"]))
    assert row["new"].verdict == "better than cr-ild"
    assert row["same"].verdict == "not told apart"
    assert row["same"].p > 0.9
    flat = FIVE | {"kd": [x - 0.02 for x in FIVE["cr-ild"]]}
    summary = summarise(grid(flat), "", "cr-ild", METHODS)
    assert rows(summary)["kd"].verdict == NO_SPREAD
    assert any("cr-ild and kd" in note for note in summary.blocks[0].notes)


def test_too_few_seeds():
    three = {m: own[:3] for m, own in FIVE.items()}
    summary = summarise(grid(three), CLAIM, "cr-ild", METHODS)
    row = rows(summary)
    assert row["kd"].verdict == row["ft"].verdict == TOO_FEW
    assert (row["kd"].p, row["kd"].difference) == (None, pytest.approx(-0.02))
    assert row["cr-ild"].verdict == "reference"
    assert summary.blocks[0].notes == ("3 paired seeds: too few seeds to tell; that takes at least 5.",)
    one = summarise(grid({m: own[:1] for m, own in FIVE.items()}), CLAIM, "cr-ild", METHODS)
    assert (rows(one)["kd"].deviation, rows(one)["kd"].verdict) == (None, TOO_FEW)
    assert rows(one)["kd"].mean == 0.8


def test_teacher_and_control_are_always_there():
    summary = summarise(grid({"cr-ild": FIVE["cr-ild"]}), CLAIM, "cr-ild", ["cr-ild"])
    names = [(row.name, row.role, row.mean) for row in summary.blocks[0].rows]
    assert names[:2] == [("teacher", "teacher", None), ("ft", "control", None)]
    assert rows(summary)["cr-ild"].kept is None
    assert "No teacher has a score" in summary.blocks[0].notes[0]
    for text in (shown(summary), markdown(summary), latex(summary)):
        assert text.count("missing") == 2
    assert html(summary).count(">missing<") == 2
    records = [r | {"control": r["method"] == "alone"} for r in grid(FIVE | {"alone": FIVE["ft"]})]
    assert summarise(records, "", "kd", ["kd", "alone"]).controls == ("alone",)


def test_failed_runs_and_left_out_methods():
    scores = FIVE | {"kd": [0.8, "out of memory", 0.8, 0.8, 0.8]}
    summary = summarise(grid(scores), CLAIM, "cr-ild", METHODS)
    row = rows(summary)["kd"]
    assert (len(row.scores), row.runs, row.seeds) == (4, 5, (1, 3, 4, 5))
    assert row.failures == (Failure(2, "out of memory"),)
    assert row.verdict == TOO_FEW
    assert row.difference == pytest.approx(-(0.01 + 0.03 + 0.04 + 0.05) / 4)  # over the seeds that both have
    assert "Left out of the comparison: kd (lacks seed 2)." in summary.blocks[0].notes
    assert summary.blocks[0].comparison.methods == ("ft", "cr-ild")
    six = {m: [*own, own[-1]] for m, own in FIVE.items()}
    summary = summarise(grid(six | {"kd": [*FIVE["kd"], "x"]}), CLAIM, "cr-ild", METHODS)
    assert rows(summary)["kd"].verdict == "not compared: kd lacks seed 6"
    summary = summarise(grid(six | {"kd": ["no"] * 6, "cr-ild": [*FIVE["cr-ild"], "no"]}), CLAIM, "cr-ild", METHODS)
    assert rows(summary)["ft"].verdict == "not compared: cr-ild lacks seed 6"
    assert rows(summary)["kd"].verdict == "no score"
    assert "failed" in shown(summary)
    assert summary.ranks.unranked == ("kd",)
    for text in (shown(summary), markdown(summary), latex(summary), csv_text(summary), html(summary)):
        assert "seed 6: no" in text


def test_all_students_of_a_failed_teacher():
    scores = {m: [*own, "its teacher failed"] for m, own in FIVE.items()}
    comparison = summarise(grid(scores), CLAIM, "cr-ild", METHODS).blocks[0].comparison
    assert (comparison.seeds, comparison.methods) == ((1, 2, 3, 4, 5), ("ft", "cr-ild", "kd"))


def test_a_score_that_is_not_a_number_is_a_failure():
    records = [*grid({"cr-ild": [0.8], "kd": [float("nan")]}), run("RTE", "ft", 1, 0.7) | {"score": None}]
    row = rows(summarise(records, "", "cr-ild", METHODS))
    assert row["kd"].failures == (Failure(1, "its score is nan"),)
    assert row["ft"].failures == (Failure(1, "its score is None"),)
    assert row["kd"].mean is None


def test_best_of_validation_is_labelled():
    assert "optimistic" not in markdown(summarise(grid(FIVE), "", "cr-ild", METHODS))
    records = [r | ({"best_validation": 0.9 + r["seed"] / 100} if r["method"] == "kd" else {}) for r in grid(FIVE)]
    summary = summarise(records, "", "cr-ild", METHODS)
    assert rows(summary)["kd"].best_validation == pytest.approx(0.93)
    assert rows(summary)["cr-ild"].best_validation is None
    for text in (shown(summary), markdown(summary), latex(summary), html(summary)):
        assert "best of validation (optimistic)" in text
    assert "best_of_validation_optimistic" in csv_text(summary)


def test_a_teacher_that_is_no_good():
    summary = summarise(grid(FIVE | {"teacher": [0.0, -0.1]}), "", "cr-ild", METHODS)
    assert {row.kept for row in summary.blocks[0].rows} == {None}
    assert "not above 0" in summary.blocks[0].notes[0]


def test_several_teachers_of_a_seed():
    records = [*grid(FIVE), run("RTE", "teacher", 1, 0.5) | {"folder": "teachers/other"}]
    row = rows(summarise(records, "", "cr-ild", METHODS))
    assert row["teacher"].mean == pytest.approx((4.6 + 0.5) / 6)
    assert len(row["teacher"].scores) == row["teacher"].runs == 6
    with pytest.raises(CrildError, match="two results are of the same run: RTE, full, kd, seed 1"):
        summarise([*grid(FIVE), run("RTE", "kd", 1, 0.5)], "", "cr-ild", METHODS)


def test_different_metrics_are_not_compared():
    records = [r | ({"metric": "f1"} if r["method"] == "kd" else {}) for r in grid(FIVE)]
    (block,) = summarise(records, "", "cr-ild", METHODS).blocks
    assert (block.metric, block.comparison.pairs) == ("accuracy, f1", ())
    assert block.notes == ("The runs have different metrics (accuracy, f1): nothing is compared.",)
    assert {(row.rank, row.kept, row.verdict) for row in block.rows} == {(None, None, "")}


def test_blocks_and_average_ranks():
    summary = summarise(several(), CLAIM, "cr-ild", METHODS)
    assert [block.name for block in summary.blocks] == ["CoLA, full", "RTE, full", "RTE, n=100", "RTE, n=1000"]
    assert summary.ranks.average == {"ft": 3, "cr-ild": pytest.approx(4 / 3), "kd": pytest.approx(5 / 3)}
    assert summary.notes == ("Average ranks: 3 of 4 counted, for a method has no score in: CoLA, full.",)
    for text in (shown(summary), markdown(summary), latex(summary), html(summary)):
        assert "1.33" in text
        assert "3 of 4 counted" in text


def test_no_runs():
    summary = summarise([], CLAIM, "cr-ild", METHODS)
    assert (summary.blocks, summary.notes) == ((), ("There are no runs.",))
    for text in (shown(summary), markdown(summary), latex(summary), html(summary)):
        assert TEST.split(":")[0] in text
    assert len(csv_text(summary).splitlines()) == 1


def test_errors_are_one_line_without_the_machine():
    def error(text):
        return error_of({"status": "failed", "error": text})

    assert error("FileNotFoundError: '/home/me/x/model.bin'\n  at once") == "FileNotFoundError: '.../model.bin' at once"
    assert error("1/2 of https://host/a/b/c and/or x") == "1/2 of https://host/a/b/c and/or x"
    assert error(None) == "failed"


def test_natural_order():
    assert sorted(["n=1000", "b", "n=20", "A", "10", "9"], key=natural) == ["9", "10", "A", "b", "n=20", "n=1000"]


def test_the_constant_answer_stands_beside_the_teacher_and_is_no_method():
    runs = [r | {"constant": 0.6} for r in grid(FIVE)]
    found = rows(summarise(runs, CLAIM, "cr-ild", METHODS))
    plain = rows(summarise(grid(FIVE), CLAIM, "cr-ild", METHODS))
    assert list(found) == ["teacher", "constant answer", "ft", "cr-ild", "kd"]
    row = found.pop("constant answer")
    assert (row.role, row.mean, row.deviation, row.rank) == ("constant", 0.6, None, None)
    assert row.kept == pytest.approx(0.6 / 0.92)
    assert found == plain


def test_settings_that_were_found_and_places_left_out_are_in_the_summary():
    one = {"task": "RTE", "condition": "n=1000", "method": "kd", "trials": 2, "settings": {"keep": "last"}}
    failed = {"task": "RTE", "condition": "n=100", "method": "kd", "trials": 2, "error": "no encoder"}
    summary = summarise(grid(FIVE), CLAIM, "cr-ild", METHODS, [one, failed], [{"why": "Left out: CoLA."}])
    assert [(each.condition, each.error) for each in summary.tunings] == [("n=100", "no encoder"), ("n=1000", None)]
    assert "Left out: CoLA." in summary.notes
