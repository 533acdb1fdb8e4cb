"""The pages of results: independent counts, drawings, rows that were run again."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from crild.grid.run import select
from crild.grid.spec import cells, read_grid
from crild.grid.table import summarise
from tools import again
from tools.committed import ROOT, command, contents, grid_file, grids, name_of
from tools.drawing import svg
from tools.plots import curves, dots
from tools.results import (
    agreement,
    built,
    distance,
    gain,
    gap,
    last_gain,
    pages,
    passes_table,
    ranks,
    runs_section,
    score,
    selection_table,
)


@pytest.fixture(scope="module")
def made():
    return pages()


def test_the_committed_pages_are_made_from_the_committed_result_files(made):
    for name, text in made.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "run `make results`"


NASTY = '<img src=x onerror=alert(1)>&"'


def frame(name):
    runs = pd.DataFrame(contents(name)["runs"])
    return runs[(runs.method != "teacher") & (runs.status == "done")]


@pytest.mark.parametrize("left_out", [(), ("minilmv2", "cr-ild-as-released"), ("ft",)])
@pytest.mark.parametrize("name", ["few_sample", "label_noise", "label_noise_rivals"])
def test_average_ranks_are_those_of_an_independent_count(name, left_out):
    means = frame(name).groupby(["task", "method"]).score.mean().unstack()
    means = means.drop(columns=list(left_out), errors="ignore").round(12)
    expected = means.rank(axis=1, ascending=False).mean().round(9).to_dict()
    assert {method: round(value, 9) for method, value in ranks(name, left_out)} == expected


def test_scores_and_gaps_are_those_of_an_independent_count():
    runs = frame("few_sample_rivals").set_index(["task", "method", "seed"]).score.sort_index()
    ours, theirs = runs["STS-B", "cr-ild"], runs["STS-B", "kd"]
    assert score("few_sample_rivals", "STS-B", "cr-ild") == f"{ours.mean():.3f} ± {ours.std():.3f}"
    assert gap("few_sample_rivals", "STS-B", "cr-ild", "kd") == f"{100 * (ours - theirs).mean():+.1f}"


def test_gains_compare_the_seeds_that_both_conditions_have():
    runs = frame("training_data").set_index(["condition", "method", "seed"]).score.sort_index()
    ours, theirs = runs["QQP beside it", "l-ild"], runs["target alone", "l-ild"]
    assert 0 < len(ours) < len(theirs)
    expected = 100 * (ours - theirs[ours.index]).mean()
    assert gain("training_data", "MRPC", "l-ild", "QQP beside it", "target alone") == f"{expected:+.1f}"


def test_distances_are_from_each_students_own_teacher():
    runs = pd.DataFrame(contents("ten_passes")["runs"])
    scores = runs[runs.task == "STS-B"].pivot_table(index="seed", columns="method", values="score")
    expected = 100 * (scores["kd"] - scores["teacher"]).abs().mean()  # a teacher's seed is its students'
    assert distance("ten_passes", "STS-B", "kd") == f"{expected:.1f}"


def test_gains_of_other_epochs_are_those_of_an_independent_count():
    rules = pd.DataFrame(contents("selection_rules"))
    found = rules[(rules.grid == "ten_passes") & (rules.task == "SST-2") & (rules.method != "ft")]
    gains = 100 * (found["last"] - found.score)
    assert len(gains) == 24
    assert last_gain("ten_passes", "SST-2") == f"{gains.mean():+.1f}"
    (line,) = (x for x in selection_table().splitlines() if "ten_passes, SST-2 | students" in x)
    assert f"| 24 | {found.score.mean():.3f} |" in line
    assert f"| {gains.mean():+.1f} ± {gains.std():.1f} |" in line


def test_passes_are_compared_over_the_seeds_that_both_grids_have():
    means = {}
    for name in ("ten_passes", "twenty_passes"):
        runs = frame(name)
        means[name] = runs[(runs.task == "STS-B") & (runs.method == "cr-ild")].set_index("seed").score
    gains = 100 * (means["twenty_passes"] - means["ten_passes"]).dropna()
    (line,) = (x for x in passes_table().splitlines() if x.startswith("| STS-B | cr-ild |"))
    assert line.endswith(f"| {gains.mean():+.1f} |")
    assert f"| {len(gains)} | {means['ten_passes'].mean():.3f}" in line


def test_the_rule_in_use_kept_what_the_runs_scored():
    found = pd.DataFrame(contents("selection_rules")).groupby("grid")
    assert len(found) > 0
    for name, rules in found:
        keys = ["task", "method", "seed", "score"]
        runs = frame(name).set_index(keys).index
        assert set(rules.set_index(keys).index) == {key for key in runs if key[0] in set(rules.task)}


def test_every_row_that_was_run_again_is_found():
    rows, _ = agreement()
    assert rows
    for each in rows:
        runs = pd.DataFrame(contents(each["grid"])["runs"])
        same = runs[["task", "condition", "method", "seed"]] == pd.Series(each)[["task", "condition", "method", "seed"]]
        assert list(runs[same.all(axis=1)].score) == [each["committed"]]
        assert each["difference"] == pytest.approx(100 * (each["score"] - each["committed"]))


@pytest.mark.parametrize("name", grids())
def test_the_command_of_every_committed_run_finds_it_in_its_grid(name):
    known = {cell.name for cell in cells(read_grid(str(grid_file(name))))}
    listed = re.findall(r"^\| (.*, seed \d+) \| (\S+) \|$", runs_section(name), flags=re.MULTILINE)
    assert {run.replace("\\", "") for run, _ in listed} <= known
    folders = {run["folder"]: run["score"] for run in contents(name)["runs"] if run["status"] == "done"}
    assert sorted(float(value) for _, value in listed) == sorted(folders.values())


def test_a_row_is_drawn_among_all_that_a_cpu_made():
    drawn = {(grid, name_of(run)) for grid, run in again.rows()}
    assert len(drawn) == len(again.rows())  # a teacher of two conditions is there once
    assert {grid for grid, _ in drawn} == {
        name for name in grids() if all(m["machine"]["gpu"] is None for m in contents(name)["machines"])
    }
    for grid, run in again.rows("tweets"):
        only = command(grid, name_of(run), "out")[-1]
        *teacher, cell = select(cells(read_grid(str(grid_file("tweets")))), only)
        assert (cell.name, cell.folder) == (only, run["folder"])
        assert [each.folder for each in teacher] == ([cell.teacher] if cell.teacher else [])


@pytest.mark.parametrize(("change", "code"), [(0.0, 0), (1e-9, 1)])
def test_another_score_is_told(change, code, monkeypatch, capsys):
    (committed,) = [run for _, run in again.rows("smoke") if name_of(run).endswith("few rows, ft, seed 2")]

    def pretend(words, cwd, check):  # crild compare: what it would have written
        out = Path(words[words.index("--output") + 1]) / "results.json"
        out.write_text(json.dumps({"runs": [{**committed, "score": committed["score"] + change}]}))

    monkeypatch.setattr(again.subprocess, "run", pretend)
    monkeypatch.setattr(again, "rows", lambda grid: [("smoke", committed)])
    monkeypatch.setattr("sys.argv", ["again.py", "--grid", "smoke"])
    with pytest.raises(SystemExit) as stop:
        again.main()
    assert stop.value.code == code
    assert ("the same" if code == 0 else "ANOTHER") in capsys.readouterr().out


def test_dots_are_where_their_scores_are_and_names_are_escaped():
    runs = [
        {"task": NASTY, "condition": "full", "method": method, "seed": seed, "status": "done", "metric": "accuracy",
         "score": value, "control": method == "ft"}
        for method, values in {"teacher": [0.9], "kd": [0.5, 0.7], "ft": [0.6, 0.4]}.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    figure = dots(summarise(runs, "", "kd", ["kd", "ft"]))
    (panel,) = figure.axes
    names = dict(zip(panel.get_yticks(), (label.get_text() for label in panel.get_yticklabels()), strict=True))
    drawn = {names[line.get_ydata()[0]]: list(line.get_xdata()) for line in panel.lines if line.get_marker() == "o"}
    assert drawn == {"kd": [0.5, 0.7], "ft": [0.6, 0.4]}
    bars = [line.get_xdata() for line in panel.lines if line.get_marker() != "o" and line.get_linestyle() == "-"]
    assert [bar[0] for bar in bars] == pytest.approx([0.5, 0.6])  # ft, kd
    assert any(set(line.get_xdata()) == {0.9} for line in panel.lines if line.get_linestyle() == "--")  # the teacher
    low, high = panel.get_xlim()
    assert low < 0.4
    assert high > 0.9
    text = svg(figure)
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;" in text


def test_a_curve_has_its_losses_by_epoch_and_not_the_point_before_training():
    points = [{"train": None, "held_out": 3.0}, {"train": 2.0, "held_out": 1.0}, {"train": 0.5, "held_out": 0.8}]
    series = [{"task": task, "stage": "kd", "method": "m", "points": points} for task in ("a", "b", "c")]
    panels = curves(series).axes
    assert [panel.get_title(loc="left").split(",")[0] for panel in panels] == ["a", "b", "c"]
    train, held_out = panels[0].lines
    assert list(train.get_xdata()) == list(held_out.get_xdata()) == [1, 2]
    assert list(train.get_ydata()) == [2.0, 0.5]
    assert list(held_out.get_ydata()) == [1.0, 0.8]
    assert train.get_linewidth() < held_out.get_linewidth()
    assert panels[0].get_ylim()[0] == 0


def test_a_drawing_of_the_same_numbers_has_the_same_bytes_and_no_date():
    first, again = (svg(curves(contents("curves"))) for _ in range(2))
    assert first == again
    assert "<dc:date>" not in first
    assert "<text" in first  # texts, not outlines


def test_every_grid_has_its_table_and_plot_on_the_page(made):
    for name in (path.removesuffix(".svg") for path in made if path.startswith("results/") and path.endswith(".svg")):
        assert f"{name}.svg" in made["results.md"]


def test_the_page_for_a_browser_leads_to_files_and_to_every_table(made):
    pages_built = built(made["results.md"])
    whole = pages_built["results.html"]
    assert "<table>" in whole
    assert "<script" not in whole
    anchors, found = set(re.findall(r' id="(.*?)"', whole)), set()
    for target in re.findall(r'(?:href|src)="(?!https?:)(.*?)"', whole):
        path, _, anchor = target.partition("#")
        assert path in pages_built or (ROOT / "build" / path).resolve().is_relative_to(ROOT)
        assert not path or path in pages_built or (ROOT / "build" / path).resolve().exists(), target
        assert path or anchor in anchors, target
        found.add(path)
    assert {f"results/{name}.html" for name in grids()} <= found & set(pages_built)


def test_docs_hold_no_page_that_is_built_and_none_that_is_left_over(made):
    assert not [*(ROOT / "docs").rglob("*.html"), *(ROOT / "docs").rglob("*.py"), *(ROOT / "docs").rglob("*.j2")]
    held = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs/results").iterdir()}
    assert held == {name for name in made if name.startswith("results/")}
