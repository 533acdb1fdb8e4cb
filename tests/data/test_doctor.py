"""The data doctor: what is planted is found, and nothing else."""

import numpy as np
import pytest
from scipy.stats import binomtest, pearsonr

from crild.data.doctor import Cut, check_data, expected_interval, findings
from tests.data.patients import graded, healthy, listed, task_of

SCORED = healthy(150, 10_000)


def names(task, cut=None):
    return [finding.name for finding in findings(check_data(task, cut))]


def one(task, name, cut=None):
    found = findings(check_data(task, cut))
    assert [finding.name for finding in found] == [name]
    return found[0]


@pytest.mark.parametrize(
    ("rows", "options"),
    [(healthy, {}), (graded, {}), (listed, {})],
)
def test_nothing_is_found_in_healthy_data(rows, options, tmp_path):
    assert names(task_of(tmp_path, rows(), rows(150, 10_000), **options), Cut(0.0, 128, 512)) == []


def test_facts_of_a_small_task(tmp_path):
    checks = check_data(task_of(tmp_path, healthy(), SCORED))
    assert checks.rows == {"train": 540, "selection": 60, "validation": 150}
    assert sum(checks.labels.values()) == 540
    assert (checks.constant, checks.unlabelled, checks.words) == (0.5, 0, (6, 6))
    assert (checks.duplicates, checks.shared, checks.contradictions, checks.wordless) == (0, 0, 0, 0)


def test_rare_labels_are_told_with_a_metric_that_sees_them(tmp_path):
    """748, 2 and 3 rows passed in silence."""
    many = [{"text": f"row {i}", "label": "ham"} for i in range(748)]
    rare = [{"text": f"odd {i}", "label": ("spam", "scam")[i > 1]} for i in range(5)]
    scored = [{"text": f"x {i}", "label": "ham" if i % 10 else "spam"} for i in range(150)]
    task = task_of(tmp_path, many + rare, scored)
    found = {finding.name: finding for finding in findings(check_data(task))}
    assert list(found) == ["unbalanced", "rare labels", "verdict"]
    assert found["unbalanced"].facts["metric"] == "macro_f1"
    assert "--metric macro_f1" in found["unbalanced"].text
    assert "scores 0.900" in found["unbalanced"].text  # whoever always says ham
    assert set(found["rare labels"].facts["labels"]) == {"spam", "scam"}
    assert "unbalanced" not in names(task_of(tmp_path, many + rare, scored, metric="macro_f1"))


def test_of_two_unbalanced_classes_the_metric_is_matthews(tmp_path):
    train = [{"text": f"row {i}", "label": "yes" if i % 9 else "no"} for i in range(600)]
    assert one(task_of(tmp_path, train, SCORED), "unbalanced").facts["metric"] == "matthews"


def test_a_rare_label_among_several_a_row(tmp_path):
    train = [{**row, "labels": [*row["labels"], *(["c"] if i < 20 else [])]} for i, row in enumerate(listed())]
    assert one(task_of(tmp_path, train, listed(150, 10_000)), "unbalanced").facts["metric"] == "macro_f1"


def test_too_few_rows_to_choose_and_to_score(tmp_path):
    found = findings(check_data(task_of(tmp_path, healthy(200), healthy(60, 10_000))))
    assert [(finding.name, finding.facts["rows"]) for finding in found] == [("selection", 20), ("validation", 60)]
    low, high = found[1].facts["interval"]
    assert f"{low:.2f} to {high:.2f}" in found[1].text
    assert "--keep last" in found[0].text


@pytest.mark.parametrize("rows", [5, 20, 100, 1000])
def test_the_interval_to_expect_is_wilsons(rows):
    wanted = binomtest(round(0.8 * rows), rows).proportion_ci(method="wilson")
    assert expected_interval("classification", rows) == pytest.approx((wanted.low, wanted.high), abs=1e-4)


def test_the_interval_to_expect_of_a_correlation_is_fishers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    noise = rng.normal(size=200)
    noise -= noise.mean() + (noise @ (x - x.mean())) / ((x - x.mean()) @ (x - x.mean())) * (x - x.mean())
    y = 0.8 * (x - x.mean()) / x.std() + 0.6 * noise / noise.std()  # a correlation of exactly 0.8
    interval = pearsonr(x, y).confidence_interval()
    assert expected_interval("regression", 200) == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert expected_interval("regression", 3) == (-1.0, 1.0)
    assert expected_interval("classification", 0) == (0.0, 1.0)


def test_texts_that_are_cut(tmp_path):
    task = task_of(tmp_path, healthy(), SCORED)
    assert "takes up to 512: raise --max-length" in one(task, "truncated", Cut(1.0, 128, 512)).text
    assert "split the texts" in one(task, "truncated", Cut(1.0, 512, 512)).text
    assert "any number" in one(task, "truncated", Cut(1.0, 128, 10**6)).text
    long = [{**row, "text": row["text"] + " word" * 40} for row in healthy()]
    found = one(task_of(tmp_path, long, SCORED, max_length=32), "truncated")
    assert found.facts == {"share": 1.0, "kept": 32, "longest": None}


def test_a_text_that_swallowed_others_and_texts_that_say_nothing(tmp_path):
    train = healthy()
    train[3]["text"] += " word" * 600
    assert one(task_of(tmp_path, train, SCORED), "very long").facts == {"rows": 1, "words": 606, "median": 6}
    train = healthy()
    train[3]["text"] = "?! ..."
    assert one(task_of(tmp_path, train, SCORED), "wordless").facts == {"rows": 1}


def test_repeated_texts_and_texts_on_both_sides(tmp_path):
    train = healthy()
    again = [{**row, "text": row["text"].upper() + "!"} for row in train[:20]]
    assert one(task_of(tmp_path, train + again, SCORED), "duplicates").facts == {"rows": 20, "of": 620}
    assert one(task_of(tmp_path, train, SCORED + again), "leak").facts == {"rows": 20, "of": 170}


def test_texts_with_two_labels(tmp_path):
    train = healthy()
    train.append({"text": train[0]["text"] + ".", "label": "yes"})
    found = one(task_of(tmp_path, train, SCORED), "contradictions")
    assert (found.facts["texts"], found.facts["rows"]) == (1, 2)
    assert found.facts["example"] in train[0]["text"]
    numbers = [*graded(), {"text": "Pair 0!", "score": 4.9}, {"text": "Pair 1!", "score": 0.2}]  # were 0.0 and 0.1
    assert one(task_of(tmp_path, numbers, graded(150, 10_000)), "contradictions").facts["texts"] == 1


def test_numbers_far_out(tmp_path):
    train = graded()
    train[7]["score"] = 400.0
    found = one(task_of(tmp_path, train, graded(150, 10_000)), "outliers")
    assert (found.facts["outliers"], found.facts["highest"]) == (1, 400.0)
    checks = check_data(task_of(tmp_path, graded(), graded(150, 10_000)))
    assert (checks.numbers.lowest, checks.numbers.highest, checks.constant) == (0.0, 5.0, 0.0)


def test_rows_without_labels_are_told_and_not_hopeless(tmp_path):
    train = [{"text": row["text"]} for row in healthy()]
    task = task_of(tmp_path, train, [{"text": row["text"]} for row in SCORED], task="classification")
    assert one(task, "unlabelled").level == "warning"


@pytest.mark.parametrize("many", [28, 30])
def test_a_hopeless_file(many, tmp_path):
    """30 rows, of which one class has 28, or all."""
    train = [{"text": f"row {i}", "label": "yes" if i < many else "no"} for i in range(30)]
    last = findings(check_data(task_of(tmp_path, train)))[-1]
    assert (last.level, last.name) == ("hopeless", "verdict")
    assert last.text.startswith("hopeless: ")
    assert "Do this: " in last.text


def test_nothing_can_be_measured_on_one_label(tmp_path):
    scored = [{**row, "label": "yes"} for row in SCORED]
    assert one(task_of(tmp_path, healthy(), scored), "verdict").facts["cures"] == [
        "score on rows of every label (--validation)"
    ]
