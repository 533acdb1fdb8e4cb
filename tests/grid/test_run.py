"""Grids that run: one table at the end, and nothing is run twice."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from transformers import BertForSequenceClassification

from crild.cli import main
from crild.config.presets import STATIC_RATE
from crild.errors import CrildError
from crild.grid.cells import Outcome
from crild.grid.run import compare, write_results
from crild.grid.spec import cells, make_grid, select
from tests.conftest import reviews, write_jsonl
from tests.grid.grids import SMALL, grid


def test_a_teacher_alone_is_a_part_too_and_is_in_the_results(tmp_path):
    made = cells(make_grid(grid(conditions={"full": {}, "noisy": {"label_noise": 0.3}})))
    (teacher,) = select(made, "films, noisy, teacher, seed 42")  # as --dry-run prints it
    outcomes = {teacher.folder: Outcome(result={"metric": "accuracy", "minutes": 1.0, "teacher": {"score": 0.7}})}
    write_results(tmp_path, make_grid(grid()), [teacher], outcomes)
    (run,) = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert (run["task"], run["condition"], run["method"], run["score"]) == ("films", "noisy", "teacher", 0.7)
    assert "0.7000" in (tmp_path / "table.md").read_text()


def test_a_grid_ends_in_one_table_in_every_format(done):
    _, out = done
    results = json.loads((out / "results.json").read_text())
    status = {(r["condition"], r["method"], r["seed"]): r["status"] for r in results["runs"]}
    assert all((value == "failed") == (key[0] == "too deep" and key[1] != "teacher") for key, value in status.items())
    assert len([key for key in status if key[1] == "teacher"]) == 3
    failed = next(r for r in results["runs"] if r["status"] == "failed")
    assert "4 layers" in failed["error"]
    text = (out / "table.md").read_text()
    for word in ("teacher", "kd", "cr-ild", "ft", "too few seeds to tell", "few &amp; noisy"):
        assert word in text
    assert "&lt;models&gt;" in (out / "table.html").read_text()
    assert (out / "table.tex").exists()
    assert (out / "table.csv").exists()
    good = [r for r in results["runs"] if r["status"] == "done" and r["method"] not in ("teacher",)]
    assert all(r["best_validation"] >= r["score"] for r in good)
    assert len(list(out.glob("teachers/*/result.json"))) == 2
    assert not list(out.glob("runs/**/student/model.safetensors"))  # scores and logs stay, weights go


def test_a_static_student_is_one_more_method_of_a_grid(tiny, film_data, tmp_path):
    small = {name: value for name, value in SMALL.items() if name != "student"}
    made = grid(tasks={"films": str(film_data)}, methods={"kd": {}, "static": {"method": "kd", "student": "static"}},
                seeds=[1], options={"base": str(tiny), "student": 2, **small})  # fmt: skip
    (tmp_path / "grid.yaml").write_text(json.dumps(made))
    out = tmp_path / "out"
    assert main(["compare", str(tmp_path / "grid.yaml"), "--output", str(out), "--only", "films, full, static, *"]) == 0
    [run] = [each for each in json.loads((out / "results.json").read_text())["runs"] if each["method"] == "static"]
    assert run["status"] == "done"
    result = json.loads((out / run["folder"] / "result.json").read_text())
    assert (result["student"]["layers"], result["student"]["score"]) == (0, run["score"])
    [stage] = json.loads((out / run["folder"] / "plan.json").read_text())["stages"]
    assert stage["settings"]["learning_rate"] == STATIC_RATE
    assert "static" in (out / "table.md").read_text()


def test_a_part_of_a_grid_has_the_numbers_of_the_whole(done, tmp_path):
    path, out = done
    whole = {r["folder"]: r for r in json.loads((out / "results.json").read_text())["runs"]}
    assert main(["compare", str(path), "--output", str(tmp_path / "part"), "--only", "films, full, kd, seed 2"]) == 0
    part = json.loads((tmp_path / "part" / "results.json").read_text())
    assert [(r["method"], r["seed"]) for r in part["runs"]] == [("teacher", 42), ("kd", 2)]
    assert all(r["score"] == whole[r["folder"]]["score"] for r in part["runs"])
    assert [m["machine"]["threads"] for m in part["machines"]] == [1]
    assert main(["compare", str(path), "--output", str(tmp_path / "part"), "--only", "films, full, ft, seed 1"]) == 0
    both = json.loads((tmp_path / "part" / "results.json").read_text())["runs"]  # parts add up
    assert {(r["method"], r["seed"]) for r in both} == {("teacher", 42), ("kd", 2), ("ft", 1)}
    assert main(["compare", str(path), "--output", str(tmp_path / "no"), "--only", "films, ful, *"]) == 2
    assert not (tmp_path / "no").exists()


def test_every_run_of_a_seed_sees_the_same_rows_and_flips(done, trained_on):
    """Token numbers and labels, row for row, of what each run trained on; and its teacher before it."""
    _, out = done
    noisy = out / "runs/films/few-noisy"
    found = {folder.relative_to(noisy).parts[:2] for folder in trained_on if noisy in folder.parents}
    assert found == {(method, seed) for method in ("kd", "cr-ild", "ft") for seed in ("1", "2")}
    data = {rows for folder, rows in trained_on.items() if noisy in folder.parents}
    assert len(data) == 1
    train, held_out = data.pop()
    assert (len(train), len(held_out)) == (54, 6)
    teachers = {rows for folder, rows in trained_on.items() if out / "teachers" in folder.parents}
    assert (train, held_out) in teachers
    # the other condition has the same texts with their right labels: some of these are flipped
    full = {rows for folder, rows in trained_on.items() if out / "runs/films/full" in folder.parents}
    assert len(full) == 1
    right = {row[:-1]: row[-1] for part in full.pop() for row in part}
    assert 0.1 < sum(right[row[:-1]] != row[-1] for row in train + held_out) / 60 < 0.5


def test_a_second_start_repeats_nothing_and_ends_with_the_same_bytes(done):
    path, out = done
    before = {p: p.read_bytes() for p in out.glob("table.*")}
    times = {p: p.stat().st_mtime_ns for p in out.glob("*/**/result.json")}
    results = json.loads((out / "results.json").read_text())
    assert main(["compare", str(path), "--output", str(out)]) == 0
    assert before == {p: p.read_bytes() for p in out.glob("table.*")}
    assert times == {p: p.stat().st_mtime_ns for p in out.glob("*/**/result.json")}
    again = json.loads((out / "results.json").read_text())
    assert [r.get("started") for r in again["runs"]] == [r.get("started") for r in results["runs"]]


def test_runs_of_a_version_without_an_option_are_those_with_its_default(done, tmp_path):
    path, out = done
    shutil.copytree(out, tmp_path / "out")
    for config in (tmp_path / "out").glob("*/**/config.yaml"):
        options = yaml.safe_load(config.read_text())
        assert options.pop("keep") == "best"
        config.write_text(yaml.safe_dump(options))
    assert main(["compare", str(path), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "table.md").read_bytes() == (out / "table.md").read_bytes()
    changed = json.loads(path.read_text())
    changed["options"]["keep"] = "last"
    with pytest.raises(CrildError, match=r"other options \(keep: 'best' there, 'last' here"):
        compare(changed, str(tmp_path / "out"))


def test_another_grid_does_not_take_its_numbers(done, tmp_path):
    path, out = done
    changed = json.loads(path.read_text())
    changed["options"]["max_steps"] = 5
    with pytest.raises(CrildError, match=r"other options \(max_steps: 4 there, 5 here"):
        compare(changed, str(out))
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(CrildError, match="holds no grid"):
        compare(changed, str(tmp_path))


def other_seeds(values, folder, out):
    values["teacher_seeds"] = [7]
    return r"teacher: '\S+' there, '\S+' here"


def other_data_of_that_name(values, folder, out):
    data = Path(values["tasks"]["films"])
    write_jsonl(folder / data.name / "train.jsonl", reviews(160, seed=5))
    shutil.copy(data / "validation.jsonl", folder / data.name)
    values["tasks"]["films"] = str(folder / data.name)
    return r"(data|teacher): '\S+' there, '\S+' here"


def changed_data(values, folder, out):
    data = folder / "films"
    shutil.copytree(values["tasks"]["films"], data)
    values["tasks"]["films"] = str(data)
    assert compare(values | {"methods": ["kd"], "conditions": {"full": {}}}, str(folder / "new")).blocks
    write_jsonl(data / "validation.jsonl", reviews(60, seed=6))
    shutil.rmtree(out)
    shutil.move(folder / "new", out)
    return r"data: \S+ has changed since"


def teacher_gone(values, folder, out):
    for teacher in out.glob("teachers/*"):
        shutil.rmtree(teacher / "teacher")
    return r"teacher: '\S+' there, '\S+' here"


def another_teacher(values, folder, out):
    first, second = sorted(out.glob("teachers/*/teacher/model.safetensors"))
    shutil.copy(first, folder / "kept")
    shutil.copy(second, first)
    shutil.copy(folder / "kept", second)
    return r"teacher: '\S+' there, '\S+' here"


@pytest.mark.parametrize("change", [other_seeds, other_data_of_that_name, changed_data, teacher_gone, another_teacher])
def test_scores_of_another_teacher_or_other_data_are_not_taken(change, done, tmp_path):
    path, finished = done
    values, out = json.loads(path.read_text()), tmp_path / "out"
    shutil.copytree(finished, out)
    message = change(values, tmp_path, out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    with pytest.raises(CrildError, match=rf"holds a run with other options \({message}\): choose another --output"):
        compare(values, str(out))
    assert before == {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}  # grid.yaml among them


def test_a_grid_goes_on_in_a_folder_that_was_moved(done, tmp_path):
    path, finished = done
    shutil.copytree(finished, tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "elsewhere")
    out = tmp_path / "elsewhere"
    values = json.loads(path.read_text())
    del values["conditions"]["too deep"]
    times = {p: p.stat().st_mtime_ns for p in out.glob("*/**/result.json")}
    (gone,) = out.glob("runs/films/full/kd/1")
    shutil.rmtree(gone)  # one run is left to do, with the teacher that moved along
    score = {r["folder"]: r["score"] for r in json.loads((finished / "results.json").read_text())["runs"] if
             r["status"] == "done"}  # fmt: skip
    compare(values, str(out))
    runs = json.loads((out / "results.json").read_text())["runs"]
    assert all(run["score"] == score[run["folder"]] for run in runs)
    again = {p for p, time in times.items() if p.stat().st_mtime_ns != time}
    assert again == {gone / "result.json"}


def test_nothing_is_written_before_everything_was_checked(done, tmp_path):
    path, finished = done
    shutil.copytree(finished, tmp_path / "out")
    before = (tmp_path / "out" / "grid.yaml").read_bytes()
    values = json.loads(path.read_text()) | {"claim": "another"}
    values["options"]["max_steps"] = 5
    with pytest.raises(CrildError, match="choose another --output"):
        compare(values, str(tmp_path / "out"), only="films, too deep, *")  # of which none was started
    assert (tmp_path / "out" / "grid.yaml").read_bytes() == before


def test_teachers_outputs_are_computed_once_for_all_students(tiny, film_data, trained_on, tmp_path, monkeypatch):
    """Counted where it costs: how often the fine-tuned teacher reads each row that students are trained on."""
    read, original = Counter(), BertForSequenceClassification.forward

    def counted(self, input_ids=None, attention_mask=None, **kwargs):
        if len(self.bert.encoder.layer) == 4 and not self.training:
            name = float(self.classifier.weight.sum().detach())
            texts = zip(input_ids.tolist(), attention_mask.tolist(), strict=True)
            read.update((name, tuple(i for i, real in zip(*text, strict=True) if real)) for text in texts)
        return original(self, input_ids=input_ids, attention_mask=attention_mask, **kwargs)

    monkeypatch.setattr(BertForSequenceClassification, "forward", counted)
    options = {"base": str(tiny), **SMALL, "max_steps": 8}  # 5 an epoch: all rows are met
    compare(
        {"tasks": {"films": str(film_data)}, "methods": ["kd"], "seeds": [1, 2], "threads": 1, "options": options},
        str(tmp_path),
    )
    (weights,) = tmp_path.glob("teachers/*/teacher/model.safetensors")
    teacher = float(load_file(weights)["classifier.weight"].sum())
    stages = [rows for folder, rows in trained_on.items() if tmp_path in folder.parents and "kd" in folder.parts]
    assert len(stages) == 2
    train, _ = stages[0]
    expected = Counter(row[:-1] for row in train)
    assert len(expected) > 100
    assert {text: read[teacher, text] for text in expected} == dict(expected)
    assert not list(tmp_path.glob("runs/**/cache"))


@pytest.mark.parametrize(("workers", "message"), [("0", "a number of local"), ("many", "a number of local")])
def test_senseless_workers_are_refused(workers, message, done, tmp_path):
    with pytest.raises(CrildError, match=message):
        compare(json.loads(done[0].read_text()), str(tmp_path / "new"), workers=workers)
    assert not (tmp_path / "new").exists()
