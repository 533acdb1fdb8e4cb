"""Methods tuned alike: as many trials, as many steps, on rows that are held out; and what it found is in the table."""

import json
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from crild.cli import main
from crild.config.declare import choices_of
from crild.config.options import DistillConfig
from crild.config.presets import PRESETS, STATIC_RATE
from crild.errors import CrildError
from crild.grid import tuning as module
from crild.grid.cells import Outcome, configure
from crild.grid.run import compare
from crild.grid.spec import SHARE, Tuning, cells, make_grid, read_grid
from crild.grid.tuning import (
    STATIC_RATES,
    divided,
    left_out,
    run_tuning,
    search_space,
    settings_of,
    trial_cell,
    with_settings,
)
from crild.methods import METHODS
from crild.run.folder import RunFolder
from crild.run.plan import Facts, plan_distillation
from tests.conftest import reviews, write_jsonl
from tests.grid.grids import grid

pytest.importorskip("optuna")
OPTIONS = {"base": "enc", "student": 2, "precision": "fp32", "preset": "quick"}
ALIKE = {"trials": 5, "passes": 8, "batch_size": 16}
RATES = (3e-5, 5e-4)


def tuned_grid(**changes):
    return make_grid(grid(options=OPTIONS, tune=ALIKE) | changes)


def tunings(made):
    return {cell.method: cell for cell in cells(made) if isinstance(cell, Tuning)}


def space(method, tune=(), **options):
    made = tuned_grid(methods={"it": {"method": method}}, options=OPTIONS | options, tune=ALIKE | dict(tune))
    return search_space(tunings(made)["it"], Path("out"))


# What is searched, and how passes are divided


def test_every_method_has_as_many_steps_however_they_are_divided():
    rows = 96
    of_all = set()
    for method, tuning in tunings(tuned_grid(methods=list(METHODS), seeds=[1])).items():
        for share in module.SHARES:
            config = configure(Path("out"), trial_cell(tuning, configure(Path("out"), tuning), 0, {SHARE: share}))
            plan = plan_distillation(config, Facts(rows=rows, labelled=rows), tuning.shared)
            stages = [stage for stage in plan.stages if stage.trains == "student" and not stage.recipe.filters]
            longer = 4 if METHODS[method].augment else 1  # with three rewrites beside each text
            assert longer * sum(stage.settings.epochs for stage in stages) == 8, method
            of_all.add(sum(stage.steps for stage in stages))
            if len(stages) == 2:
                whole = 8 // longer
                assert stages[0].settings.epochs == min(max(1, round(whole * share)), whole - 1)
    assert of_all == {8 * rows // 16}


def test_passes_are_whole_and_no_stage_is_without_one():
    assert [divided(40, share, 2) for share in module.SHARES] == [(10, 30), (20, 20), (30, 10), (36, 4)]
    assert divided(4, 0.9, 2) == (3, 1)
    assert divided(4, 0.01, 2) == (1, 3)
    assert divided(1, 0.5, 2) == (1, 1)
    assert divided(12.6, None, 1) == (13,)


def test_every_method_searches_the_same_where_it_acts():
    keep = list(choices_of(DistillConfig, "keep"))
    assert space("cr-ild") == {
        "ild_learning_rate": RATES, "kd_learning_rate": RATES, SHARE: [0.25, 0.5, 0.75, 0.9],
        "student_head": ["fresh", "teacher"], "keep": keep,
    }  # fmt: skip
    assert space("kd") == {"kd_learning_rate": RATES, "student_head": ["fresh", "teacher"], "keep": keep}
    assert space("ft") == {"finetune_learning_rate": RATES, "keep": keep}
    assert space("kd", student_width=16)["student_head"] == ["fresh"]
    static = space("kd", student="static")
    assert static == {"kd_learning_rate": STATIC_RATES, "student_head": ["fresh"], "keep": keep}
    assert STATIC_RATES[0] < STATIC_RATE < STATIC_RATES[1]
    assert set(space("minilm", schedule="paper")) == set(space("minilm")) - {"kd_learning_rate"} | {
        "finetune_learning_rate"
    }


def test_a_grid_adds_to_the_search_what_acts_in_a_method():
    more = {"search": {"temperature": [1, 2], "consistency": "0.01:1", "student_head": ["fresh"], SHARE: [0.5]}}
    assert space("cr-ild", more) | {"keep": 0} == {
        "ild_learning_rate": RATES, "kd_learning_rate": RATES, SHARE: [0.5], "student_head": ["fresh"], "keep": 0,
        "temperature": [1.0, 2.0], "consistency": (0.01, 1.0),
    }  # fmt: skip
    assert set(space("l-ild", more)) == {*space("l-ild"), "temperature"}
    assert space("ft", more) == space("ft")


def test_what_a_grid_says_is_not_searched_unless_the_search_names_it():
    said = {"keep": "last", "ild_learning_rate": 1e-4, "finetune_learning_rate": 1e-3}
    assert not {"keep", "ild_learning_rate"} & space("cr-ild", **said).keys()
    assert space("ft", **said) == {"finetune_learning_rate": RATES}  # the option is the teacher's
    assert space("cr-ild", {"search": {"keep": ["best", "last"]}}, **said)["keep"] == ["best", "last"]
    own = {"hot": {"method": "kd", "temperature": 4}, "kd": {}}
    found = tunings(tuned_grid(methods=own, tune=ALIKE | {"search": {"temperature": [1, 2]}}))
    assert "temperature" not in search_space(found["hot"], Path("out"))
    assert "temperature" in search_space(found["kd"], Path("out"))


def test_augmented_rows_make_an_epoch_longer(monkeypatch):
    made = tunings(tuned_grid())
    config = SimpleNamespace(augment="words", augment_ratio=3, method="kd")
    assert module.passes(made["kd"], config) == 2
    assert module.passes(made["ft"], SimpleNamespace(augment="words", augment_ratio=3, method="ft")) == 8


# Trials


def answering(monkeypatch, told):
    """Trials that are not trained: `told(number)` is what happens in each; returns the options of all."""
    seen = []

    def run(root, cell, keep_weights, callbacks, lets_through, **more):
        seen.append(cell.options)
        (judge,) = callbacks
        score = told(len(seen) - 1)
        for step in (1, 2, 3, 4):
            entry = {"stage": "kd", "score": score}
            judge.on_evaluate(None, SimpleNamespace(global_step=step, max_steps=4), None, metrics=entry)
        return Outcome(result={"student": {"score": score}})

    monkeypatch.setattr(module, "run_cell", run)
    return seen


def test_a_pruned_trial_is_a_trial_and_is_no_failure(monkeypatch, tmp_path):
    seen = answering(monkeypatch, lambda number: 0.8 if number < 4 else 0.5)
    outcome = run_tuning(str(tmp_path), tunings(tuned_grid())["kd"])
    assert outcome.error is None
    assert len(seen) == 5
    assert outcome.result["pruned"] == 1
    assert [trial["state"] for trial in outcome.result["trials"]] == ["complete"] * 4 + ["pruned"]
    assert outcome.result["score"] == 0.8
    assert outcome.result["settings"] == {name: seen[0][name] for name in outcome.result["settings"]}
    assert {"kd_epochs": 8, "kd_batch_size": 16}.items() <= outcome.result["settings"].items()


def test_the_first_trial_is_what_nobody_searches_for(monkeypatch, tmp_path):
    seen = answering(monkeypatch, lambda number: 0.5)
    run_tuning(str(tmp_path / "plain"), tunings(tuned_grid(tune=ALIKE | {"trials": 2}))["cr-ild"])
    quick = PRESETS["quick"]
    usual = {
        "ild_learning_rate": quick["ild"].learning_rate, "kd_learning_rate": quick["kd"].learning_rate,
        "student_head": "teacher", "keep": "best", "ild_epochs": 4, "kd_epochs": 4,
    }  # fmt: skip
    assert usual.items() <= seen[0].items()
    assert usual.items() - seen[1].items()
    del seen[:]
    elsewhere = {"kd_learning_rate": "2e-4:5e-4", "temperature": [1, 4], "student_head": ["fresh"]}  # 2 is usual
    run_tuning(str(tmp_path / "told"), tunings(tuned_grid(tune=ALIKE | {"trials": 1, "search": elsewhere}))["kd"])
    assert 2e-4 <= seen[0]["kd_learning_rate"] <= 5e-4
    assert seen[0]["temperature"] in (1, 4)
    assert seen[0]["student_head"] == "fresh"


def test_a_killed_tuning_finds_what_it_would_have(monkeypatch, tmp_path):
    scores = [0.5, 0.7, 0.6, 0.9, 0.65]
    (tmp_path / "whole").mkdir()
    whole = answering(monkeypatch, scores.__getitem__)
    expected = run_tuning(str(tmp_path / "whole"), tunings(tuned_grid())["kd"])

    def killed(number):
        if number == 2:
            raise KeyboardInterrupt
        return scores[number]

    before = answering(monkeypatch, killed)
    with pytest.raises(KeyboardInterrupt):
        run_tuning(str(tmp_path / "killed"), tunings(tuned_grid())["kd"])
    after = answering(monkeypatch, lambda number: scores[number + 2])
    outcome = run_tuning(str(tmp_path / "killed"), tunings(tuned_grid())["kd"])
    assert before[:2] + after == whole
    assert before[2] == after[0]
    assert outcome.result["settings"] == expected.result["settings"]
    assert outcome.result["pruned"] == expected.result["pruned"]
    assert run_tuning(str(tmp_path / "killed"), tunings(tuned_grid())["kd"]) == outcome  # and is done


def test_a_tuning_without_a_trial_that_works_fails_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "run_cell", lambda *_, **__: Outcome(error="no such encoder"))
    outcome = run_tuning(str(tmp_path), tunings(tuned_grid())["kd"])
    assert outcome.error == "5 trials in a row failed, the last one so: no such encoder"


@pytest.mark.parametrize(
    ("stage", "step", "score", "reports"),
    [
        ("kd", 2, 0.5, True),
        ("kd", 8, 0.5, False),
        ("kd", 1, 0.5, False),
        ("ild", 4, 0.5, False),
        ("kd", 4, None, False),
    ],
)
def test_a_trial_is_judged_by_its_last_stage_before_the_end(stage, step, score, reports):
    told = []
    trial = SimpleNamespace(report=lambda *pair: told.append(pair), should_prune=lambda: False)
    judge = module.Judge(trial, "kd", RuntimeError)
    entry = {"stage": stage} | ({} if score is None else {"score": score})
    for _ in range(2):  # once for each place
        judge.on_evaluate(None, SimpleNamespace(global_step=step, max_steps=8), None, metrics=entry)
    assert told == ([(0.5, 1)] if reports else [])


# Jobs of a grid


def test_one_search_a_method_task_and_condition_with_one_teacher_for_all():
    made = tuned_grid(conditions={"full": {}, "noisy": {"label_noise": 0.3}}, seeds=[1, 2])
    found = cells(made)
    of_tuning = [cell for cell in found if isinstance(cell, Tuning)]
    assert len(of_tuning) == 3 * 2
    assert len({cell.teacher for cell in of_tuning}) == 2
    assert {cell.options["validation"] for cell in found if cell.held_out} == {"held-out"}
    assert {cell.seed for cell in found if cell.held_out} == {1}
    assert not [cell for cell in found if not cell.held_out and "validation" in cell.options]
    assert {(cell.tune.trials, cell.tune.passes) for cell in of_tuning} == {(5, 8)}
    assert pickle.loads(pickle.dumps(of_tuning)) == of_tuning  # as a job of another process


def test_a_tuned_rate_of_fine_tuning_changes_no_teacher(tmp_path):
    made = tuned_grid(seeds=[1, 2], options=OPTIONS | {"finetune_learning_rate": 3e-3})
    assert made.teacher_seeds == [1, 2]
    assert tuned_grid(seeds=[1, 2], teacher_seeds=[7]).teacher_seeds == [7]
    students = {(cell.method, cell.seed): cell for cell in cells(made) if not cell.held_out}
    ft = students["ft", 1]
    (tmp_path / ft.tuning).mkdir(parents=True)
    config = configure(tmp_path, tunings(made)["ft"])
    settings = settings_of(tunings(made)["ft"], config, {"finetune_learning_rate": 1e-4})
    (tmp_path / ft.tuning / "trials.json").write_text(json.dumps({"settings": settings}))
    settled = with_settings(tmp_path, ft)
    assert settled.options["finetune_learning_rate"] == 1e-4
    assert (settled.options["finetune_epochs"], settled.options["finetune_batch_size"]) == (8, 16)
    assert settled.teacher == ft.teacher == students["kd", 1].teacher
    teachers = [cell for cell in cells(made) if cell.method == "teacher"]
    assert {cell.options["finetune_learning_rate"] for cell in teachers} == {3e-3}
    assert not [cell for cell in teachers if "finetune_epochs" in cell.options]


def test_a_teacher_that_has_learned_nothing_leaves_its_place_out():
    made = cells(tuned_grid(conditions={"full": {}, "noisy": {"label_noise": 0.3}}))
    scores = {"full": 0.56, "noisy": 0.54}
    outcomes = {
        cell.folder: Outcome(result={"teacher": {"score": scores[cell.condition]}, "constant": {"score": 0.5}})
        for cell in made if cell.method == "teacher" and cell.held_out
    }  # fmt: skip
    (out,) = left_out(made, outcomes)
    assert (out.condition, out.teacher, out.constant) == ("noisy", 0.54, 0.5)
    assert "noisy" in out.sentence
    assert "less than 0.05 above" in out.sentence


# A tuned grid that ran through


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny, film_data, trained_on):
    folder = tmp_path_factory.mktemp("tuned")
    path = folder / "grid.yaml"
    values = {
        "tasks": {"films": str(film_data)},
        "methods": ["l-ild"],
        "conditions": {"full": {}, "wrong labels": {"label_noise": 0.9}},
        "seeds": [1],
        "threads": 1,
        "options": OPTIONS | {"base": str(tiny), "finetune_epochs": 6, "finetune_learning_rate": 3e-3},
        "tune": {"trials": 2, "passes": 2, "batch_size": 16, "search": {"kd_learning_rate": "1e-3:1e-2"}},
    }
    path.write_text(json.dumps(values))
    assert main(["compare", str(path), "--output", str(folder / "out")]) == 0
    return path, folder / "out"


def test_a_tuned_grid_runs_with_what_it_found(done):
    _, out = done
    results = json.loads((out / "results.json").read_text())
    assert [(t["condition"], t["method"], t["trials"], t["pruned"]) for t in results["tuning"]] == [
        ("full", "l-ild", 2, 0), ("full", "ft", 2, 0),
    ]  # fmt: skip
    for found in results["tuning"]:
        assert found["minutes"] > 0
        options = yaml.safe_load((out / f"runs/films/full/{found['method']}/1/config.yaml").read_text())
        assert found["settings"].items() <= options.items()
        assert options["validation"] is None
    stages = [RunFolder.open(out / f"runs/films/full/{method}/1").plan.stages for method in ("l-ild", "ft")]
    assert len({sum(stage.steps for stage in each) for each in stages}) == 1
    assert [each["condition"] for each in results["left_out"]] == ["wrong labels"]
    assert {run["condition"] for run in results["runs"]} == {"full"}
    assert not list(out.glob("tuning/*/*/*/trials"))
    for name in ("table.md", "table.html", "table.tex"):
        text = (out / name).read_text()
        assert "Settings found" in text
        assert "constant answer" in text
        assert "Left out: films, wrong labels" in text
    assert (out / "settings.csv").read_text().startswith("task,condition,method,trials,pruned,minutes,score,settings")


def test_trials_see_neither_the_validation_split_nor_the_rows_that_score_them(done, trained_on, film_data):
    _, out = done
    in_trials = {rows for folder, rows in trained_on.items() if out / "tuning" in folder.parents}
    assert len(in_trials) == 1
    train, chosen_by = in_trials.pop()
    (teacher,) = [
        path
        for path in out.glob("teachers/*")
        if (options := yaml.safe_load((path / "config.yaml").read_text()))["validation"] == "held-out"
        and not options["label_noise"]
    ]
    rows = json.loads((teacher / "result.json").read_text())["rows"]
    assert (rows["train"], rows["selection"]) == (len(train), len(chosen_by))
    assert rows["train"] + rows["selection"] + rows["validation"] == 160  # of the 60 validation rows, none
    scored = RunFolder.open(teacher).predictions["text"]
    in_train = [json.loads(line)["text"] for line in (film_data / "train.jsonl").open()]
    assert set(scored) <= set(in_train)
    in_runs = {rows for folder, rows in trained_on.items() if out / "runs" in folder.parents}
    assert {len(train) + len(selection) for train, selection in in_runs} == {160}


def test_a_second_start_repeats_no_trial(done, monkeypatch):
    path, out = done
    times = {file: file.stat().st_mtime_ns for file in [*out.glob("*/**/result.json"), *out.glob("*/**/trials.json")]}
    table = (out / "table.md").read_bytes()
    monkeypatch.setattr(module, "run_cell", None)
    assert main(["compare", str(path), "--output", str(out)]) == 0
    assert times == {file: file.stat().st_mtime_ns for file in times}
    assert (out / "table.md").read_bytes() == table
    assert cells(read_grid(str(out / "grid.yaml"))) == cells(read_grid(str(path)))


def test_settings_of_another_search_are_not_taken(done, tmp_path):
    path, finished = done
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    values = json.loads(path.read_text())
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    with pytest.raises(CrildError, match=r"holds a search with other options \(passes: 2 there, 3 here\)"):
        compare(values | {"tune": values["tune"] | {"passes": 3}}, str(out))
    with pytest.raises(CrildError, match=r"holds a search with other options \(search: "):
        compare(values | {"tune": values["tune"] | {"search": {}}}, str(out))
    with pytest.raises(CrildError, match="holds a run with other options"):
        compare({name: value for name, value in values.items() if name != "tune"} | {"teacher_seeds": [1]}, str(out))
    shutil.rmtree(out / "tuning/films/full/ft")
    with pytest.raises(CrildError, match="holds a run whose tuning is gone"):
        compare(values, str(out))
    assert before.items() >= {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}.items()


def test_a_part_of_a_tuned_grid_names_what_it_needs(done, capsys):
    path, _ = done
    assert main(["compare", str(path), "--dry-run", "--only", "films, full, ft, seed 1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "films, full, teacher for tuning, seed 1", "films, full, ft, tuning", "films, full, teacher, seed 1",
        "films, full, ft, seed 1",
    ]  # fmt: skip


def test_runs_cannot_be_scored_on_the_rows_that_tuned_them(tiny, tmp_path):
    data = write_jsonl(tmp_path / "films.jsonl", reviews(40))
    values = grid(tasks={"films": str(data)}, options=OPTIONS | {"base": str(tiny)}, tune=ALIKE)
    with pytest.raises(CrildError, match=r"films\.jsonl has no validation split: tune scores its trials on held-out"):
        compare(values, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
