"""The page of results: as committed, and of a planted tuned grid."""

import re

import numpy as np
import pandas as pd
import pytest

from crild.grid.run import select
from crild.grid.spec import cells, make_grid
from tests.grid.records import run
from tools import committed
from tools.claims import HOLDS, UNDECIDED
from tools.committed import ROOT, contents
from tools.drawing import svg
from tools.plots import Point, kept_against_cost
from tools.results import PLOT, SECOND_ROUND, TUNED, Evidence, pages

LEVELS = {"teacher": 0.90, "ft": 0.70, "kd": 0.84, "l-ild": 0.879, "cr-ild": 0.88, "u-ild": 0.75}
COST = {"ft": 1.0, "kd": 2.0, "l-ild": 3.0, "cr-ild": 6.0, "u-ild": 3.0}
TASKS, CONDITIONS, SEEDS = ("RTE", "SST-2"), ("1,000 rows, first 4", "1,000 rows, first 3"), (42, 43, 44, 45, 46)


def tuned(levels=LEVELS, seeds=SEEDS):
    """A result file as `crild compare` writes it for a tuned grid."""
    rng = np.random.default_rng(0)
    runs = [
        run(task, method, seed, level - 0.05 * (task == "RTE") + 0.002 * float(rng.standard_normal()), condition,
            constant=0.5, minutes=COST.get(method, 5.0), parameters=22.7e6 if method == "teacher" else 19.2e6,
            folder=f"{task}/{condition}/{method}/{seed}")
        for task in TASKS for condition in CONDITIONS for method, level in levels.items() for seed in seeds
    ]  # fmt: skip
    return {
        "claim": "CR-ILD wins.", "reference": "cr-ild", "methods": [m for m in levels if m != "teacher"],
        "machines": [{"machine": {"gpu": "NVIDIA H100", "threads": 1, "processor": "x86_64"},
                      "versions": {"torch": "2.13.0", "transformers": "5.23.0"}}],
        "runs": runs,
        "tuning": [{"task": "RTE", "condition": CONDITIONS[0], "method": "kd", "error": None, "trials": 20, "pruned": 7,
                    "minutes": 12.4, "score": 0.7123, "settings": {"kd_learning_rate": 0.0001, "kd_epochs": 12}}],
        "left_out": [],
    }  # fmt: skip


def made(held, monkeypatch):
    """The pages where the tuned grid's result file holds this, and there is no other."""
    monkeypatch.setattr(committed, "grid_file", lambda name: ROOT / f"experiments/{name}.yaml")
    return pages(lambda name: held if name == "tuned" else None)


def table_row(page, name, part=False):
    """The cells of a row; of the table of the columns that have no score of some method, where ``part`` says so."""
    first, _, second = page.partition("What is not in the table")
    (line,) = (line for line in (second if part else first).splitlines() if line.startswith(f"| {name} |"))
    return line.strip("| ").split(" | ")[1:]


def test_the_committed_page_is_made_from_the_committed_result_files():
    found = pages()
    for name, text in found.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "run `make results`"
    assert {path.name for path in (ROOT / "docs/results").glob("*")} == {PLOT.split("/")[1]} & {
        name.split("/")[-1] for name in found
    }


def test_the_readme_says_what_the_page_says():
    evidence = Evidence({name: contents(name) for name in TUNED})
    kept = evidence.kept
    (said,) = re.findall(r"^Tuned alike .*?results.md\)", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    found = re.findall(r"`([\w-]+)` (?:keeps )?([\d.]+) %", said)
    assert len(found) >= 4
    for name, share in found:
        assert f"{100 * kept[name].kept:.1f}" == share, name
    (but,) = re.findall(r"the first is ahead of all but `([\w-]+)`", said)
    (pair,) = re.findall(r"`([\w-]+)` and `([\w-]+)` are not told apart", said)
    first, *others = evidence.ranking
    assert {name for name in others if evidence.versus(first, name).word != HOLDS} == {but}
    assert evidence.versus(*pair).word == UNDECIDED


def test_the_page_without_the_tuned_grid_says_so(monkeypatch):
    found = made(None, monkeypatch)
    assert set(found) == {"results.md"}
    assert "is running" in found["results.md"]
    assert "notebook/2026-11-first-round.md" in found["results.md"]
    assert found["results.md"].count("| not run yet |") > 10


def test_the_first_lines_say_what_the_runs_say(monkeypatch):
    held = tuned()
    page = made(held, monkeypatch)["results.md"]
    compared, first, much, choose, where = [line for line in page.splitlines() if line.startswith("- **")][:5]
    assert page.splitlines()[2:8] == [compared, first, much, choose, where, ""]  # at once
    assert "5 ways" in compared
    assert "on RTE, SST-2 (1,000 rows, first 3; 1,000 rows, first 4), 5 seeds" in compared
    assert "19.2 M parameters where the teacher has 22.7 M" in compared
    assert re.search(
        r"`(cr-ild|l-ild)` \(1\.\d\d\), `(cr-ild|l-ild)` \(1\.\d\d\), `kd` \(3\.00\), `u-ild` \(4\.00\)", first
    )
    assert "told apart from `kd`, `u-ild` and `ft`" in first
    frame = pd.DataFrame(held["runs"]).pivot_table(
        index=["task", "condition", "seed"], columns="method", values="score"
    )
    whole = frame.teacher.groupby(["task", "condition"]).transform("mean")
    assert f"keeps {100 * (frame['cr-ild'] / whole).mean():.1f} % of the teacher's score" in much
    for other in ("ft", "kd", "l-ild"):  # without a teacher, logits alone, and the nearest of the ranking
        assert f"{100 * (frame['cr-ild'] - frame[other]).mean():+.1f} points against `{other}` (" in much
    assert "`l-ild`: it is shown to lose at most a point to `cr-ild`, at 3.0 minutes a run instead of 6.0" in choose
    assert "in no column" in where
    assert where.endswith("Shown to be wrong: CR-ILD is at most one point below its teacher.")


def test_words_follow_the_runs(monkeypatch):
    turned = made(tuned(LEVELS | {"ft": 0.89, "cr-ild": 0.75}), monkeypatch)["results.md"]
    assert "`ft` (1.00)" in turned
    assert "**Choose** `ft`" in turned
    assert "scores no less than `cr-ild` on RTE, 1,000 rows, first 3; RTE, 1,000 rows, first 4; SST-2" in turned
    assert "`kd` (" in turned
    few = made(tuned(seeds=(42, 43)), monkeypatch)["results.md"]
    assert "With so few seeds" in few
    assert "too few seeds" in few
    level = made(tuned(dict.fromkeys(LEVELS, 0.8)), monkeypatch)["results.md"]
    assert "told apart from no other" in level


def test_the_table_has_teacher_control_methods_and_constant(monkeypatch):
    held = tuned()
    page = made(held, monkeypatch)["results.md"]
    frame = pd.DataFrame(held["runs"])
    own = frame[(frame.task == "RTE") & (frame.condition == CONDITIONS[1]) & (frame.method == "kd")].score
    assert table_row(page, "kd")[0] == f"{own.mean():.4f} ± {own.std():.4f}"
    assert table_row(page, "kd")[-1] == "3.00"
    assert table_row(page, "teacher")[-1] == "-"
    assert table_row(page, r"ft (student without a teacher)")[-1] == "5.00"
    assert table_row(page, "constant answer (always the same)") == ["0.5000"] * 4 + ["-"]
    best_first = re.findall(
        r"^\| ([\w-]+) (?:\(.*\) )?\|(?: 0\.\d+ ± 0\.\d+ \|){4} ([-\d.]+) \|$", page, flags=re.MULTILINE
    )
    assert [name for name, _ in best_first][0::5] == ["teacher", "ft"]
    assert [rank for _, rank in best_first[1:]] == sorted(rank for _, rank in best_first[1:])
    assert table_row(page, "RTE | 1,000 rows, first 4 | kd")[2:6] == ["0.7123", "20", "7", "12.4"]
    assert "20 trials each" in page


def test_a_grid_in_part_has_its_page(monkeypatch):
    held = tuned()
    whole = held["runs"]
    held["runs"] = [
        r
        for r in whole
        if (r["task"], r["method"]) != ("SST-2", "cr-ild") and (r["task"], r["seed"], r["method"]) != ("RTE", 46, "kd")
    ]
    found = made(held, monkeypatch)
    page = found["results.md"]
    assert table_row(page, "cr-ild", part=True)[:2] == ["missing", "missing"]
    assert len(table_row(page, "cr-ild")) == 3  # RTE's columns and the rank
    assert "2 of 4 counted" in page
    assert "kd on RTE, 1,000 rows, first 3 (4 of 5)" in page
    assert re.search(r"on RTE \(1,000 rows, first 3; .*\. In part: SST-2\.$", page, re.M)
    assert PLOT in found
    del held["tuning"]  # a grid that does not tune
    held["left_out"] = [{"why": "RTE was left out: its teacher has learned nothing."}]
    held["runs"] = [
        r for r in held["runs"] if (r["task"] == "RTE") == (r["method"] == "kd") or r["method"] == "teacher"
    ]
    nothing = made(held, monkeypatch)
    assert set(nothing) == {"results.md"}
    assert "no column of its table has a score of every method" in nothing["results.md"]
    assert "RTE was left out: its teacher has learned nothing." in nothing["results.md"]
    assert "The settings that the search found" not in nothing["results.md"]


def test_a_method_without_all_its_seeds_is_not_ranked(monkeypatch):
    held = tuned()
    held["runs"] = [
        {**each, "status": "waiting", "score": None} if each["method"] == "cr-ild" and each["seed"] > 43 else each
        for each in held["runs"]
    ]
    assert Evidence({"tuned": held}).ranking[0] == "l-ild"
    page = made(held, monkeypatch)["results.md"]
    assert "average rank `l-ild`" in page
    assert "not all seeds yet: `cr-ild`" in page


def test_two_grids_are_one_table_and_minutes_are_a_cpu_cores(monkeypatch):
    ours, theirs = tuned(), tuned(LEVELS | {"pkd": 0.72})
    ours["machines"][0]["machine"]["gpu"] = None
    for each in theirs["runs"]:
        each |= {"condition": f"more rows, {each['condition']}", "minutes": 0.1}
    held = {"tuned": ours, "tuned_larger": theirs}
    monkeypatch.setattr(committed, "grid_file", lambda name: ROOT / f"experiments/{name}.yaml")
    page = pages(held.get)["results.md"]
    assert "6 ways" in page
    assert len(table_row(page, "pkd")) == 5  # four columns, and the rank
    assert table_row(page, "pkd", part=True) == ["missing"] * 4
    assert "(more rows, 1,000 rows, first 4, more rows, 1,000 rows, first 3)" in page
    assert re.search(r"tuned_larger.json\), was made on NVIDIA H100", page)
    assert "| 4 of 8 |" in page  # a claim on `pkd`
    theirs["runs"] = [each for each in theirs["runs"] if each["method"] != "pkd"]
    assert Evidence(held).minutes("cr-ild") == COST["cr-ild"]


def test_small_grids_are_each_on_their_own_in_the_notebook(monkeypatch):
    noisy, lever = tuned(LEVELS | {"u-ild": 0.88}), tuned({"teacher": 0.9, "ft": 0.7, "cr-ild": 0.8, "a | b": 0.85})
    lever |= {"claim": "Levers <lift>.", "tuning": []}
    held = {"tuned_noise": noisy, "levers": lever}
    monkeypatch.setattr(committed, "grid_file", lambda name: ROOT / f"experiments/{name}.yaml")
    found = pages(held.get)
    assert f"({SECOND_ROUND})" in found["results.md"]
    _, first, second = found[SECOND_ROUND].split("\n## ")
    assert first.startswith("tuned\\_noise\n")
    means = pd.DataFrame(noisy["runs"]).groupby("method").score.mean()
    assert f"| kd | {100 * (means['kd'] - means['cr-ild']):+.1f} |" in first
    assert re.search(r"^\| u-ild \| [+-]0\.\d \| -0\.\d to \+0\.\d \| not told apart \| RTE ", first, re.M)
    assert (
        "| RTE | 1,000 rows, first 4 | kd | 0.7123 | 20 | 7 |"
        in first.partition("The settings that the search found")[2]
    )
    assert "Levers &lt;lift&gt;." in second
    assert re.search(r"^\| a \\\| b \| \+[45]\.\d \| \+\S+ to \+\S+ \| better \|", second, re.M)
    assert "The settings that the search found" not in second
    assert "crild compare experiments/levers.yaml" in second
    assert SECOND_ROUND not in "".join(made(None, monkeypatch).values())


def test_of_equal_ranks_the_higher_mean_comes_first():
    held = tuned({"teacher": 0.9, "ft": 0.6, "cr-ild": 0.7, "kd": 0.8})
    for each in held["runs"]:  # CR-ILD is a little ahead on one task, KD far ahead on the other
        if each["task"] == "RTE" and each["method"] == "cr-ild":
            each["score"] += 0.12
    evidence = Evidence({"tuned": held})
    assert evidence.summary.ranks.average["kd"] == evidence.summary.ranks.average["cr-ild"]
    assert evidence.ranking == ["kd", "cr-ild", "ft"]


def test_what_won_is_counted_over_the_searches():
    held = tuned()
    usual = {"ild_learning_rate": 1e-4, "kd_learning_rate": 1e-4, "student_head": "teacher", "keep": "best"}
    held["tuning"] = [held["tuning"][0] | {"method": method, "settings": settings} for method, settings in (
        ("cr-ild", usual), ("l-ild", usual | {"kd_learning_rate": 3e-4}), ("kd", usual | {"keep": "average"}),
        ("ft", usual), ("u-ild", None),
    )]  # fmt: skip
    won = Evidence({"tuned": held}).won
    assert won["usual"] == {"True": 1, "False": 2}
    assert won["keep"] == {"best": 2, "average": 1}
    assert won["student_head"] == {"teacher": 3}


def test_the_command_on_the_page_finds_its_row(monkeypatch):
    page = made(tuned(), monkeypatch)["results.md"]
    (name,) = re.findall(r"^    crild compare experiments/tuned.yaml .* --only '(.*)'$", page, flags=re.MULTILINE)
    named = make_grid(
        {"tasks": [*TASKS], "methods": ["kd", "cr-ild"], "conditions": {c: {} for c in CONDITIONS},
         "seeds": [*SEEDS], "options": {"base": "encoder"}}
    )  # fmt: skip
    assert select(cells(named), name)[-1].name == name


def test_points_are_where_their_scores_are_and_the_same_numbers_give_the_same_bytes():
    found = [Point("cr-ild", 6.0, 0.97, (0.95, 0.99)), Point("<b>&", 2.0, 0.91, None)]
    figure = kept_against_cost(found, "cr-ild", ["ft"])
    (axes,) = figure.axes
    drawn = {
        line.get_label(): (*line.get_xdata(), *line.get_ydata()) for line in axes.lines if line.get_marker() != "None"
    }
    assert drawn == {"cr-ild, 97.0 %": (6.0, pytest.approx(97)), "<b>&, 91.0 %": (2.0, pytest.approx(91))}
    bars = [list(line.get_ydata()) for line in axes.lines if list(line.get_xdata()) == [6.0, 6.0]]
    assert bars == [pytest.approx([95, 99])]
    once, again = (svg(kept_against_cost(found, "cr-ild", [])) for _ in range(2))
    assert once == again
    assert "<dc:date>" not in once
    assert "&lt;b&gt;&amp;" in once


def test_how_much_longer_a_run_takes_is_of_the_places_and_seeds_that_both_have():
    ours, theirs = tuned(), tuned()
    ours["runs"] = [each | {"minutes": None if (each["method"], each["task"]) == ("kd", "RTE") else each["minutes"]}
                    for each in ours["runs"]]  # fmt: skip
    for each in theirs["runs"]:
        each["minutes"] = {"cr-ild": 0.5, "kd": 0.4 if each["seed"] == 42 else None}.get(each["method"])
    for each in ours["runs"]:
        if each["task"] == "RTE" and each["method"] == "cr-ild":
            each["minutes"] = 100.0
    ratios = Evidence({"tuned": ours, "tuned_larger": theirs}).times_as_long("cr-ild", "kd")
    assert ratios == {"tuned": pytest.approx(3.0), "tuned_larger": pytest.approx(1.25)}


def test_rows_read_off_a_log_are_counted_by_task():
    held = tuned()
    for each in held["runs"][:3]:
        each["started"] = None
    assert Evidence({"tuned": held}).from_log == {"RTE": 3}
    assert Evidence({"tuned": tuned()}).from_log == {}


def test_the_share_kept_is_of_the_teacher_and_over_seeds():
    evidence = Evidence({"tuned": tuned()})
    assert list(evidence.kept)[-1] == "ft"
    assert evidence.kept["cr-ild"].minutes == 6.0
    low, high = evidence.kept["cr-ild"].interval
    assert low < evidence.kept["cr-ild"].kept < high < 1


def test_the_first_round_is_kept_whole():
    notebook = ROOT / "docs/notebook"
    pictures = {path.name for path in (notebook / "2026-11-first-round").iterdir()}
    text = (notebook / "2026-11-first-round.md").read_text(encoding="utf-8")
    assert pictures == set(re.findall(r"\(2026-11-first-round/([\w.]+)\)", text))
    assert contents("ten_passes")["runs"]  # and its numbers
