"""Verdicts on claims: by hand, from planted runs; and what the committed page says."""

import math

import numpy as np
import pytest
from scipy import stats

from crild.grid.spec import read_grid
from crild.grid.statistics import NO_SPREAD
from tests.grid.records import grid, run
from tools.claims import ALL, FAILS, HOLDS, NOT_RUN, TOO_FEW, UNDECIDED, Claim, judge, line, read_claims, t_interval
from tools.committed import ROOT, grid_file, grid_files


def claim(better="cr-ild", than="kd", **more):
    return Claim(**{"claim": "A.", "source": "crild", "grid": "g", "better": better, "than": than} | more)


def held(*parts):
    return {"runs": [record for part in parts for record in part]}


def two(lead, task="RTE", condition="full"):
    """Runs in which cr-ild is ahead of kd by ``lead``, a number a seed."""
    base = [0.70, 0.75, 0.72, 0.71, 0.74][: len(lead)]
    scores = {"kd": base, "cr-ild": [b + x for b, x in zip(base, lead, strict=True)]}
    return grid(scores, task=task, condition=condition)


def test_by_hand():
    # per seed, over two tasks: (1 + 3) / 2, (2 + 4) / 2, (3 + 5) / 2 points = 2, 3, 4: mean 3, deviation 1
    verdict = judge(claim(), held(two([0.01, 0.02, 0.03]), two([0.03, 0.04, 0.05], task="CoLA")))
    half = 0.01 / math.sqrt(3) * 4.302653  # Student's t, 2 degrees of freedom
    assert verdict.difference == pytest.approx(0.03)
    assert verdict.interval == pytest.approx((0.03 - half, 0.03 + half), abs=1e-7)
    assert (verdict.word, verdict.seeds, verdict.missing) == (HOLDS, (1, 2, 3), ())
    assert verdict.by_place == pytest.approx({("CoLA", "full"): 0.04, ("RTE", "full"): 0.02})


@pytest.mark.parametrize(
    ("margin", "word"), [(-0.01, HOLDS), (0.0, HOLDS), (0.01, UNDECIDED), (0.03, UNDECIDED), (0.06, FAILS)]
)
def test_the_margin_is_what_the_interval_has_to_pass(margin, word):
    assert judge(claim(margin=margin), held(two([0.02, 0.03, 0.04]))).word == word  # 0.005 to 0.055


def test_what_is_not_inferior_need_not_be_better():
    runs = held(two([-0.001, 0.0, 0.001]))
    assert judge(claim(), runs).word == UNDECIDED
    assert judge(claim(margin=-0.01), runs).word == HOLDS
    assert judge(claim("kd", "cr-ild", margin=-0.01), runs).word == HOLDS
    assert judge(claim("kd", "cr-ild", margin=0.01), runs).word == FAILS


def test_the_same_difference_in_every_seed_is_no_test():
    assert judge(claim(), held(two([0.1, 0.1, 0.1]))).word == NO_SPREAD


def test_few_seeds_and_missing_files():
    assert judge(claim(), None).word == judge(claim(), {"runs": []}).word == NOT_RUN
    assert judge(claim(than="pkd"), held(two([0.1, 0.2, 0.3]))).word == NOT_RUN
    verdict = judge(claim(), held(two([0.1, 0.2])))
    assert (verdict.word, verdict.interval, verdict.seeds) == (TOO_FEW, None, (1, 2))
    assert verdict.difference == pytest.approx(0.15)


def test_a_task_with_fewer_seeds_is_left_out_and_said_to_be():
    runs = held(two([0.01, 0.02, 0.03]), two([0.5, 0.5], task="CoLA"), [run("SST-2", "kd", 1, 0.9)])
    verdict = judge(claim(), runs)
    assert verdict.difference == pytest.approx(0.02)
    assert verdict.missing == (("CoLA", "full"), ("SST-2", "full"))
    assert line(claim(), verdict)[-2:] == ["1 of 3", "RTE +2.0"]


def test_several_result_files_count_as_one():
    files = {"g": held(two([0.01, 0.02, 0.03])), "h": held(two([0.03, 0.04, 0.05], task="CoLA"))}
    both = claim(grid=["g", "h"])
    assert judge(both, both.held(files.get)).difference == pytest.approx(0.03)
    assert line(both, judge(both, None))[2] == "g, h"
    files["h"] = None  # not run yet
    assert judge(both, both.held(files.get)).difference == pytest.approx(0.02)
    assert both.held(lambda name: None) is None


def test_a_failed_run_is_no_score():
    runs = held(two([0.01, 0.02, 0.03]), [run("RTE", "cr-ild", 4, "out of memory"), run("RTE", "kd", 4, 0.1)])
    assert judge(claim(), runs).seeds == (1, 2, 3)


def test_tasks_and_conditions_are_those_named():
    runs = held(two([0.01, 0.02, 0.03]), two([0.03, 0.04, 0.05], condition="noise"), two([0.1, 0.2, 0.3], task="CoLA"))
    assert judge(claim(tasks=["RTE"], condition="noise"), runs).difference == pytest.approx(0.04)
    assert judge(claim(tasks=["RTE"]), runs).difference == pytest.approx(0.03)
    assert line(claim(), judge(claim(), runs))[-2:] == ["3", "CoLA +20.0, RTE +3.0"]
    assert judge(claim(tasks=["RTE"], condition="full"), runs).difference == pytest.approx(0.02)
    more = judge(claim(than="cr-ild", condition="noise", than_condition="full", tasks=["RTE"]), runs)
    assert more.difference == pytest.approx(0.02)


def test_a_teacher_of_each_seed_or_one_for_all():
    own = grid({"teacher": [0.8, 0.9, 0.7], "cr-ild": [0.7, 0.9, 0.8]})
    assert judge(claim(than="teacher"), held(own)).by_place == pytest.approx({("RTE", "full"): 0.0})
    one = [run("RTE", "teacher", 42, 0.8), *(r for r in own if r["method"] != "teacher")]
    verdict = judge(claim(than="teacher"), held(one))
    assert verdict.seeds == (1, 2, 3)
    assert verdict.difference == pytest.approx(0.0)
    twins = [*own, run("RTE", "teacher", 1, 0.5, folder="teachers/other")]  # which of them taught?
    assert judge(claim(than="teacher"), held(twins)).word == NOT_RUN


def test_equal_methods_are_rarely_told_apart():
    rng = np.random.default_rng(0)
    intervals = [t_interval(list(values)) for values in rng.standard_normal((2000, 3))]
    assert np.mean([low > 0 or high < 0 for low, high in intervals]) == pytest.approx(0.05, abs=0.015)
    values = [0.1, 0.4, 0.2, 0.6]
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    assert t_interval(values) == pytest.approx(tuple(theirs))


@pytest.mark.parametrize("claimed", read_claims(), ids=lambda claimed: claimed.claim)
def test_the_page_says_what_the_runs_say(claimed):
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    (found,) = (cells for cells in (row.split(" | ") for row in page.splitlines()) if cells[0] == f"| {claimed.claim}")
    assert found[3] == judge(claimed, claimed.held()).word, "run `make results`"


WRITTEN = {path.stem for path in grid_files()}  # a claim may stand there before its grid does


@pytest.mark.parametrize(
    "claimed", [each for each in read_claims() if WRITTEN.issuperset(each.grids)], ids=lambda claimed: claimed.claim
)
def test_a_claim_names_what_its_grid_has(claimed):
    for name in claimed.grids:
        named = read_grid(str(grid_file(name)))
        assert {claimed.better, claimed.than} <= {*named.methods, "teacher"}
        assert claimed.tasks == ALL or set(claimed.tasks) <= set(named.tasks)
        assert {claimed.condition, claimed.than_condition} <= {ALL, "", *named.conditions}
