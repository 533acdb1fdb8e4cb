"""`crild diagnose`: of a real run with wrong labels, all of it within a budget, and nothing of the run changed."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import crild
from crild.diagnostics import case as cases
from crild.diagnostics import diagnose as diagnosing
from tests.conftest import reviews, write_jsonl

FIGURES = ["cka", "explained", "fit", "flips", "gap", "hessian", "noise", "probes", "surface"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    write_jsonl(folder / "train.jsonl", reviews(80))
    write_jsonl(folder / "validation.jsonl", reviews(40, seed=1))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny, data):
    """A run of two stages with a third of its labels wrong, and everything that can be known of it."""
    output = tmp_path_factory.mktemp("runs") / "noisy"
    crild.distill(
        teacher=tiny, data=data, student=2, method="l-ild", label_noise=0.3, output=output, max_steps=4,
        precision="fp32",
    )  # fmt: skip
    before = hashes(output)
    found = crild.diagnose(runs=output, rows=16, budget=1000)
    assert {path: each for path, each in hashes(output).items() if path.parts[0] != "diagnostics"} == before
    return output, found


def hashes(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_figure_is_a_file_that_says_what_it_holds(run):
    output, found = run
    assert found.runs[0].left_out == {}
    assert sorted(found["noisy"]["figures"]) == FIGURES
    for name in FIGURES:
        text = (output / "diagnostics" / f"{name}.json").read_text()
        held = json.loads(text, parse_constant=pytest.fail)
        assert held == found["noisy"]["figures"][name] == crild.RunFolder.open(output).diagnostics[name]
        assert (held["diagnostic"], held["run"], held["seed"], held["metric"]) == (name, "noisy", 42, "accuracy")
        assert held["title"]
        assert held["axes"]
        assert all(set(axis) == {"label", "unit"} and axis["label"] for axis in held["axes"].values())
    models = {name: set(found["noisy"]["figures"][name]["models"]) for name in FIGURES}
    three, learners = {"teacher", "control", "student"}, {"control", "student"}
    assert models == dict.fromkeys(FIGURES, three) | {"cka": learners, "explained": learners, "gap": set()}


def test_the_table_has_a_line_for_each_model_and_the_scores_of_the_run(run):
    output, found = run
    table = found.table()
    assert list(table.index) == [("noisy", role) for role in ("teacher", "control", "student")]
    assert list(table.columns) == ["score", "gap", "drop", "curvature", "explained", "CKA", "probe", "flips"]
    result = crild.RunFolder.open(output).result
    for role in ("teacher", "control", "student"):
        assert table.loc[("noisy", role), "score"] == result[role]["score"]
    assert table.loc[("noisy", "teacher"), ["explained", "CKA"]].isna().all()
    assert table.loc[("noisy", "student")].notna().all()
    assert "noisy" in str(found)


def test_the_numbers_are_those_of_the_runs_own_rows_and_models(run, data):
    """Flips are counted again here from the files; gaps are the lines of the log; the centre is the loss."""
    output, found = run
    figures, folder = found["noisy"]["figures"], crild.RunFolder.open(output)
    history = folder.history("ild")
    stage = figures["gap"]["stages"]["ild"]
    assert list(figures["gap"]["stages"]) == [each.name for each in folder.plan.stages]
    assert stage["terms"]["hidden"]["held_out"] == [entry["held_out"]["hidden"] for entry in history]
    centre = {split: line["task"][figures["surface"]["line_at"].index(0.0)]
              for split, line in figures["surface"]["models"]["student"]["line"].items()}  # fmt: skip
    for split in ("train", "held_out"):
        loss = figures["noise"]["models"]["student"][split]["loss"]
        assert loss["mean"][0] == figures["fit"]["models"]["student"]["loss"][split]
        assert centre[split] == pytest.approx(loss["mean"][0], rel=1e-5)  # of the same 16 rows
    plane, line = (figures["surface"]["models"]["student"][name]["train"] for name in ("plane", "line"))
    middle = len(figures["surface"]["plane_at"]) // 2
    for name in ("task", "ild"):
        assert plane[name][middle][middle] == line[name][len(figures["surface"]["line_at"]) // 2]
    # The training texts whose label differs from the file's; `predictions` has no training rows.
    true = {row["text"]: row["label"] for row in reviews(80)}
    opened = cases.open_case("x", str(output), 16, 42)
    assert opened.rows is not None
    wrong, right = (each["labels"][:] for each in (opened.rows.corrupted, opened.rows.right))
    texts = [folder.tokenizer.decode(ids, skip_special_tokens=True) for ids in opened.rows.corrupted["input_ids"]]
    names = folder.result.labels
    assert [names[int(label)] for label in right] == [true[text] for text in texts]
    assert all(a != b for a, b in zip(wrong, right, strict=True))
    assert len(texts) == figures["flips"]["corrupted_rows"] > 10
    inputs = folder.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        answers = folder.student(**inputs).logits.argmax(-1).numpy()
    assert figures["flips"]["models"]["student"]["wrong"] == pytest.approx(np.mean(answers == wrong))


def test_the_same_seed_gives_the_same_figures_and_another_one_other_rows(run):
    output, found = run
    before = found["noisy"]["figures"]["fit"]["models"]
    again = [crild.diagnose(runs=[output], rows=16, budget=0.001, seed=seed) for seed in (42, 7)]
    assert all("fit is left out" in str(each) for each in again)
    measured = [
        cases.open_case("x", str(output), 16, seed) for seed in (42, 7)
    ]  # fmt: skip
    values = [diagnosing.gap.at_the_end(case)["models"] for case in measured]
    assert values[0] == before != values[1]


def test_what_does_not_fit_is_named_with_the_budget_that_it_needs(run, cli):
    output, _ = run
    code, out, err = cli("diagnose", output, "--budget", "0.01", "--rows", "16")
    assert code == 0
    assert "noise is left out: it takes about" in err
    assert "--budget" in err
    assert "teacher" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    code, out, err = cli("diagnose", output, "--budget", "0.01", "--rows", "16", "--json")
    left_out = json.loads(out)["noisy"]["left_out"]
    assert sorted([*left_out, "gap"]) == FIGURES


def test_runs_stand_side_by_side_and_a_run_without_its_data_tells_its_log(run, tiny_teacher, tmp_path):
    """The rows of a moved run that were given in memory are found again; without labels they have the teacher's."""
    output, _ = run
    frame = pd.DataFrame({"text": [row["text"] for row in reviews(60)]})
    crild.distill(teacher=tiny_teacher, data=frame, student="static", method="kd", output=tmp_path / "a", max_steps=2,
                  control=False)  # fmt: skip
    shutil.move(tmp_path / "a", tmp_path / "moved")
    gone = tmp_path / "gone"
    shutil.copytree(output, gone)
    options = (gone / "config.yaml").read_text()
    path = next(line for line in options.splitlines() if line.startswith("data: "))
    (gone / "config.yaml").write_text(options.replace(path, "data: /nowhere/films"))
    found = crild.diagnose(runs=[tmp_path / "moved", gone], rows=8, budget=1000)
    assert [run.name for run in found.runs] == ["moved", "gone"]
    moved, without = found["moved"], found["gone"]
    assert sorted(moved["figures"]) == ["fit", "gap", "hessian", "noise", "probes", "surface"]
    assert set(moved["left_out"]) == {"cka", "explained", "flips"}
    for split in ("train", "held_out"):
        assert moved["figures"]["fit"]["models"]["teacher"]["score"][split] == 1
    assert moved["summary"]["student"].keys() == {"score", "gap", "drop", "curvature"}
    assert list(without["figures"]) == ["gap"]
    note = without["notes"][0]
    assert note.startswith("its data cannot be read again, so only its log is: --data /nowhere/films is not there")
    assert "\n" not in note


def test_data_that_changed_since_the_run_is_not_taken_for_its_data(run, data, tmp_path):
    output, _ = run
    changed = tmp_path / "films"
    shutil.copytree(data, changed)
    write_jsonl(changed / "train.jsonl", reviews(81))
    copy = tmp_path / "copy"
    shutil.copytree(output, copy)
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace(str(data), str(changed)))
    found = crild.diagnose(runs=copy, rows=8, budget=1000)
    assert "holds something else than then" in found["copy"]["notes"][0]


def test_a_plugin_that_a_runs_folder_names_is_run_only_where_it_is_asked_for(run, tmp_path):
    output, _ = run
    copy, plugin = tmp_path / "copy", tmp_path / "own.py"
    shutil.copytree(output, copy)
    plugin.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'harm')!r}).touch()\n")
    options = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(yaml.safe_dump(options | {"plugin": str(plugin)}))
    opened = cases.open_case("x", str(copy), 8, 42)
    assert any(f"made with the plugin {plugin}, which --plugin {plugin} would run" in note for note in opened.notes)
    assert not (tmp_path / "harm").exists()
    opened = cases.open_case("x", str(copy), 8, 42, str(plugin))
    assert opened.objective is not None
    assert (tmp_path / "harm").exists()
