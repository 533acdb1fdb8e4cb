"""The bootstrap, and scores class by class."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, matthews_corrcoef

from crild.metrics import (
    Difference,
    accuracy,
    bootstrap_interval,
    class_scores,
    confusion,
    f1,
    macro_f1,
    matthews,
    paired_differences,
    paired_interval,
    pearson,
    shared_share,
    spearman,
)


def test_interval_covers_the_binomial_one():
    rng = np.random.default_rng(1)
    truth, output = np.zeros(1000), (rng.random(1000) < 0.2).astype(float)
    low, high = bootstrap_interval(accuracy, truth, output)
    score = float(np.mean(output == 0))
    half = 1.96 * (score * (1 - score) / 1000) ** 0.5
    assert low == pytest.approx(score - half, abs=0.006)
    assert high == pytest.approx(score + half, abs=0.006)


def test_the_interval_of_many_rows_needs_little_memory():
    truth = np.zeros(200_000)
    tracemalloc.start()
    bootstrap_interval(accuracy, truth, truth, resamples=40)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * truth.nbytes  # all resamples at once would take 40 times as much and more


def test_a_paired_interval_is_that_of_the_rows_differences():
    """The difference of two accuracies is a mean over rows, whose interval is known."""
    rng = np.random.default_rng(2)
    truth = np.zeros(2000)
    other = (rng.random(2000) < 0.3).astype(float)
    output = np.where(rng.random(2000) < 0.1, 1 - other, other)  # they mostly err on the same rows
    differences = (output == 0).astype(float) - (other == 0)
    half = 1.96 * differences.std() / 2000**0.5
    low, high = paired_interval(accuracy, truth, output, other)
    assert low == pytest.approx(differences.mean() - half, abs=0.003)
    assert high == pytest.approx(differences.mean() + half, abs=0.003)
    apart = bootstrap_interval(accuracy, truth, output)
    assert high - low < apart[1] - apart[0]
    assert paired_interval(accuracy, truth, output, output) == (0.0, 0.0)


def models(rows=400):
    """Truth, and answers of three models that err on the same rows in part."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, rows)
    wrong = rng.random(rows)
    return truth, {name: np.where(wrong < error, 1 - truth, truth) ^ (rng.random(rows) < 0.03)
                   for name, error in (("teacher", 0.1), ("control", 0.25), ("student", 0.15))}  # fmt: skip


def test_differences_of_all_pairs_are_the_paired_intervals_of_each():
    truth, answers = models()
    found = paired_differences(macro_f1, truth, answers, resamples=60)
    assert set(found) == {("control", "teacher"), ("student", "teacher"), ("student", "control")}
    for (later, earlier), each in found.items():
        ours, other = answers[later], answers[earlier]
        assert each.value == macro_f1(truth, ours) - macro_f1(truth, other)
        assert (each.low, each.high) == paired_interval(macro_f1, truth, ours, other, resamples=60)


def test_differences_agree_with_scipys_own_bootstrap():
    truth, answers = models()
    found = paired_differences(accuracy, truth, answers, resamples=4000)["student", "teacher"]

    def difference(truth, ours, other):
        return np.mean(truth == ours) - np.mean(truth == other)

    theirs = stats.bootstrap(
        (truth, answers["student"], answers["teacher"]), difference, paired=True, vectorized=False, n_resamples=4000,
        method="percentile", rng=np.random.default_rng(7),
    ).confidence_interval  # fmt: skip
    assert found.low == pytest.approx(theirs.low, abs=0.004)
    assert found.high == pytest.approx(theirs.high, abs=0.004)


def test_differences_of_many_rows_need_little_memory():
    truth = np.zeros(200_000, int)
    tracemalloc.start()
    paired_differences(accuracy, truth, {"a": truth, "b": truth}, resamples=40)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * truth.nbytes


def test_an_equal_model_is_not_worse_by_more_than_nothing_and_a_worse_one_is():
    truth, answers = models()
    equal = paired_differences(accuracy, truth, {"teacher": answers["teacher"], "student": answers["teacher"]})
    same = equal["student", "teacher"]
    assert same.verdict("its teacher") == "not worse than its teacher by more than 0.0 points"
    one_worse = answers["teacher"].copy()
    right = np.flatnonzero(one_worse == truth)[0]
    one_worse[right] = 1 - one_worse[right]
    worse = paired_differences(accuracy, truth, {"teacher": answers["teacher"], "student": one_worse})[
        "student", "teacher"
    ]
    assert worse.margin > 0
    assert worse.verdict("its teacher") == f"not worse than its teacher by more than {worse.margin:.1f} points"
    far = paired_differences(accuracy, truth, {"teacher": answers["teacher"], "student": 1 - truth})[
        "student", "teacher"
    ]
    assert far.verdict("its teacher").startswith("worse than its teacher, by 8")


def test_a_margin_is_rounded_up_so_that_what_is_said_holds():
    assert Difference(-0.01, -0.0301, 0.01).margin == 3.1
    assert Difference(-0.01, -0.03, 0.01).margin == 3.0
    assert Difference(0.0, -1e-6, 0.0).margin == 0.1
    better = Difference(0.02, 0.004, 0.036)
    assert better.margin == 0.0
    assert better.verdict("it") == "better than it, by 0.4 to 3.6 points"


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_scores_are_scikit_learns_bit_for_bit(classes):
    rng = np.random.default_rng(classes)
    for _ in range(40):
        rows = int(rng.integers(2, 80))
        truth, output = rng.integers(0, classes, rows), rng.integers(0, classes, rows)
        assert macro_f1(truth, output) == f1_score(truth, output, average="macro", zero_division=0)
        if len({*truth, *output}) > 1:  # of one label it warns
            assert matthews(truth, output) == matthews_corrcoef(truth, output)
        if classes <= 2:
            assert f1(truth, output) == f1_score(truth, output, labels=[1], average="micro", zero_division=0)
        many, others = (rng.integers(0, 2, (rows, classes + 1)).astype(float) for _ in range(2))
        many[:, 0] = others[:, 0] = 0  # a class that is nowhere
        for average, by_class in (("micro", False), ("macro", True)):
            theirs = f1_score(many, others, average=average, zero_division=0)
            assert shared_share(many, others, by_class) == theirs


def test_class_scores_and_confusion_by_hand():
    truth, output = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    assert confusion(truth, output, 4) == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    first, _, third, absent = class_scores(truth, output, ["a", "b", "c", "d"])
    assert first == {
        "label": "a",
        "precision": 0.5,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(4 / 7),
        "rows": 3,
    }
    assert third == {"label": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "rows": 1}
    assert absent["rows"] == 0
    several = class_scores(np.array([[1, 0], [1, 1]]), np.array([[1, 1], [0, 1]]), ["a", "b"])
    assert [(each["precision"], each["recall"]) for each in several] == [(1.0, 0.5), (0.5, 1.0)]


def test_correlations_are_scipys_with_ties_and_far_from_zero():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 200) + 1e6
    output = (truth + rng.normal(size=200)).astype(np.float32)
    assert pearson(truth, output) == pytest.approx(stats.pearsonr(truth, output).statistic, abs=1e-12)
    assert spearman(truth, output) == pytest.approx(stats.spearmanr(truth, output).statistic, abs=1e-12)
    assert pearson(truth, np.ones(200)) == spearman(truth, np.ones(200)) == 0
