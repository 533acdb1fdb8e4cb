"""Planted data, seeded: equal methods are not flagged, large differences are found; hand-computed t and ranks."""

import math

import numpy as np
import pytest
from scipy import stats

from crild.grid.statistics import (
    ALPHA,
    DRAWS,
    adjusted_p,
    average_ranks,
    compare_all,
    critical_difference,
    critical_t,
    null_maxima,
    paired_t,
    rank,
    together,
)

SIMULATIONS = 2000


def named(values) -> dict[str, dict[int, float]]:
    """Scores by seed by method, of an array (methods, seeds)."""
    return {f"m{i}": {42 + j: float(x) for j, x in enumerate(row)} for i, row in enumerate(values)}


def flagged(values) -> float:
    """The share of families (simulations, methods, seeds) in which any pair at all is told apart."""
    p = adjusted_p(paired_t(values)[2], *values.shape[1:])
    return float(np.mean((p <= ALPHA).any(-1)))


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_ten_equal_methods_are_rarely_told_apart(seeds):
    rng = np.random.default_rng(seeds)
    values = rng.standard_normal((SIMULATIONS, 10, seeds))
    assert flagged(values) <= 0.06
    assert flagged(values + 5 * rng.standard_normal((SIMULATIONS, 1, seeds))) <= 0.06  # a seed matters most


def test_the_public_comparison_of_ten_equal_methods():
    rng = np.random.default_rng(2024)
    scores = 0.8 + 0.01 * rng.standard_normal((SIMULATIONS, 10, 5))
    share = np.mean([any(pair.told_apart for pair in compare_all(named(each)).pairs) for each in scores])
    assert 0.03 <= share <= 0.06  # neither flagging luck nor flagging nothing


@pytest.mark.parametrize("seeds", [3, 5, 8])
@pytest.mark.parametrize(
    "spread", [np.linspace(1, 3, 10), np.r_[10, np.ones(9)], np.r_[np.ones(5), np.full(5, 5)], np.geomspace(0.1, 1, 10)]
)
def test_methods_of_unequal_variance_too(seeds, spread):
    rng = np.random.default_rng(seeds)
    values = rng.standard_normal((SIMULATIONS, 10, seeds)) * spread[:, None]
    assert flagged(values + 5 * rng.standard_normal((SIMULATIONS, 1, seeds))) <= 0.07


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_scores_that_are_not_normal_too(seeds):
    rng = np.random.default_rng(seeds)
    size = (SIMULATIONS, 10, seeds)
    for step in (0.1, 0.5, 1):  # a share of few rows: rounded to a good part of the deviation, differences often equal
        assert flagged(np.round(rng.standard_normal(size) / step) * step) <= 0.06
    assert flagged(rng.standard_t(3, size)) <= 0.06  # heavy tails
    assert flagged(rng.standard_normal(size) - 20 * (rng.random(size) < 0.1)) <= 0.06  # every tenth run collapses


def test_what_the_text_says_of_simpler_tests():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((SIMULATIONS, 10, 5))
    best = values.mean(-1).argmax(-1)
    differences = values[np.arange(SIMULATIONS), best][:, None] - values
    others = np.arange(10) != best[:, None]
    p = stats.ttest_1samp(differences[others].reshape(SIMULATIONS, 9, 5), 0, axis=-1).pvalue
    assert 0.45 <= np.mean((p <= 0.05).any(-1)) <= 0.65
    for seeds, least in ((3, 0.25), (5, 0.0625)):
        signs = np.array(np.meshgrid(*[[-1, 1]] * seeds)).reshape(seeds, -1)
        sums = np.abs(signs.sum(0))
        assert np.mean(sums >= seeds) == least


def test_a_difference_of_two_deviations_is_found():
    rng = np.random.default_rng(5)
    first = rng.standard_normal((SIMULATIONS, 1, 5))
    difference = 2 + rng.standard_normal((SIMULATIONS, 1, 5))  # deviation 1
    share = flagged(np.concatenate([first + difference, first], 1))
    theory = stats.nct.sf(stats.t.isf(0.025, 4), 4, 2 * math.sqrt(5))
    assert share >= 0.85
    assert share == pytest.approx(theory, abs=0.02)  # 0.909


def test_two_methods_are_students_t():
    rng = np.random.default_rng(1)
    for seeds in (5, 6, 9):
        a, b = rng.standard_normal((2, seeds)) + np.array([[0.5], [0]])
        theirs = stats.ttest_rel(a, b)
        (pair,) = compare_all(named([a, b])).pairs
        assert pair.t == pytest.approx(theirs.statistic, rel=1e-12)
        assert pair.p == pytest.approx(theirs.pvalue, rel=1e-12)


def test_by_hand():
    # differences 1, 2, 3, 4, 5 hundredths: mean 0.03, deviation sqrt(0.025) / 10, t = 0.03 / (that / sqrt 5) = 4.2426
    scores = {"a": {s: 0.80 + 0.01 * s for s in range(1, 6)}, "b": dict.fromkeys(range(1, 6), 0.80)}
    comparison = compare_all(scores)
    (pair,) = comparison.pairs
    assert pair.difference == pytest.approx(0.03)
    assert pair.deviation == pytest.approx(0.0158114, abs=1e-7)
    assert pair.t == pytest.approx(3 * math.sqrt(2))
    assert pair.p == pytest.approx(0.013236, abs=1e-6)  # Student's t, 4 degrees of freedom, both sides
    assert pair.told_apart
    assert comparison.critical == pytest.approx(2.776445, abs=1e-6)
    turned = comparison.find("b", "a")
    assert (turned.difference, turned.t, turned.p) == (-pair.difference, -pair.t, pair.p)
    assert comparison.find("a", "a") is None


def test_more_methods_ask_for_more():
    differences = [0.01, 0.02, 0.03, 0.04, 0.05]
    two = {"a": dict(enumerate(differences)), "b": dict.fromkeys(range(5), 0.0)}
    rng = np.random.default_rng(3)
    ten = two | {f"x{i}": dict(enumerate(rng.standard_normal(5))) for i in range(8)}
    alone, among = compare_all(two).find("a", "b"), compare_all(ten).find("a", "b")
    assert alone.t == among.t
    assert alone.p < 0.05 < among.p
    assert among.p == (np.sum(null_maxima(10, 5) >= among.t) + 1) / (DRAWS + 1)


def test_critical_t_is_where_p_passes_alpha():
    for methods, seeds in ((2, 5), (3, 5), (10, 8)):
        critical = critical_t(methods, seeds)
        assert adjusted_p(np.array(critical), methods, seeds) <= ALPHA + 1e-12
        assert adjusted_p(np.array(0.99 * critical), methods, seeds) > ALPHA
    # the largest |t| of all pairs lies between a single t's and Bonferroni's
    assert stats.t.isf(0.025, 4) < critical_t(10, 5) < stats.t.isf(0.025 / 45, 4)


def test_the_null_is_the_same_each_time():
    once = null_maxima(4, 5).copy()
    null_maxima.cache_clear()
    assert np.array_equal(once, null_maxima(4, 5))
    assert len(once) == DRAWS


def test_no_spread_is_never_flagged():
    # 0.9 - 0.8 and 0.8 - 0.7 differ by rounding alone
    scores = {"a": {s: 0.5 + s / 10 for s in range(5)}, "b": {s: 0.4 + s / 10 for s in range(5)}}
    scores["c"] = {s: 0.1 * s * s for s in range(5)}
    comparison = compare_all(scores)
    pair = comparison.find("a", "b")
    assert (pair.t, pair.p, pair.deviation, pair.told_apart) == (None, None, 0.0, False)
    assert pair.difference == pytest.approx(0.1)
    assert comparison.find("a", "c").p is not None


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_too_few_seeds_are_not_tested(seeds):
    comparison = compare_all(named(np.arange(3 * seeds).reshape(3, seeds) ** 2.0))
    assert [pair.p for pair in comparison.pairs] == [None] * 3
    assert comparison.critical is None
    assert comparison.find("m1", "m0").difference == pytest.approx(
        np.mean([(seeds + s) ** 2 - s**2 for s in range(seeds)])
    )


def test_a_method_that_lacks_a_seed_is_left_out():
    scores = named(np.random.default_rng(0).standard_normal((4, 6)))
    del scores["m1"][44]
    scores["m3"] = {}
    comparison = compare_all(scores)
    assert comparison.methods == ("m0", "m2")
    assert comparison.seeds == (42, 43, 44, 45, 46, 47)
    assert comparison.lacking == {"m1": (44,), "m3": (42, 43, 44, 45, 46, 47)}
    assert compare_all({}).pairs == compare_all({"a": {1: 0.5}}).pairs == compare_all({"a": {}, "b": {}}).pairs == ()


def test_ranks():
    assert rank({"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.1}) == {"a": 2.5, "b": 1, "c": 2.5, "d": 4}
    assert rank({"a": 0.1 + 0.2, "b": 0.3}) == {"a": 1.5, "b": 1.5}
    assert rank({}) == {}


def test_average_ranks():
    means = {
        ("t1", "full"): {"a": 0.9, "b": 0.8, "c": 0.7},
        ("t2", "full"): {"a": 0.5, "b": 0.6, "c": 0.5},
        ("t3", "full"): {"a": 0.5, "c": 0.6},  # b failed here: a rank among two is another thing
    }
    ranks = average_ranks(means, ["a", "b", "c", "never"])
    assert ranks.average == {"a": 1.75, "b": 1.5, "c": 2.75}
    assert ranks.counted == (("t1", "full"), ("t2", "full"))
    assert ranks.skipped == (("t3", "full"),)
    assert ranks.unranked == ("never",)
    nothing = average_ranks({("t", "c"): {"a": 1.0}, ("u", "c"): {"b": 1.0}}, ["a", "b"])
    assert (nothing.average, nothing.counted) == ({}, ())
    assert average_ranks({}, ["a"]).unranked == ("a",)


def test_the_critical_difference_is_demsars():
    """Demsar 2006, section 3.2.3: four classifiers on 14 data sets, CD 1.25."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_joined_are_longest_runs_of_which_no_two_are_told_apart():
    values = {"a": 1.0, "b": 2.0, "c": 3.5, "d": 3.6, "e": 9.0}
    assert together(list(values), lambda x, y: abs(values[x] - values[y]) > 2) == [(0, 1), (1, 3)]
    assert together(list(values), lambda x, y: False) == [(0, 4)]
    assert together(list(values), lambda x, y: True) == []
    assert together("abc", lambda x, y: {x, y} == {"a", "c"}) == [(0, 1), (1, 2)]
