"""Grids: what they say, which runs they stand for, and that nothing is run twice."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from crild.cli import main
from crild.errors import CrildError
from crild.grid.cells import Outcome, configure, write_demo
from crild.grid.run import compare, write_results
from crild.grid.spec import cells, make_grid, read_grid, select

SMALL = {"student": 2, "max_steps": 4, "precision": "fp32"}


def grid(**changes):
    return {"tasks": ["a/films"], "methods": ["kd", "cr-ild"], "options": {"base": "enc", **SMALL}, **changes}


def test_a_grid_is_methods_by_tasks_by_conditions_by_seeds_with_shared_teachers():
    made = make_grid(
        grid(conditions={"full": {}, "noisy": {"label_noise": 0.3}, "uniform": {"layer_map": "uniform"}}, seeds=[1, 2])
    )
    found = cells(made)
    teachers = [cell for cell in found if cell.method == "teacher"]
    students = [cell for cell in found if cell.method != "teacher"]
    assert len(students) == 1 * 3 * 3 * 2  # the control is always there
    assert {cell.method for cell in students} == {"kd", "cr-ild", "ft"}
    assert len(teachers) == 2  # a layer map is nothing that a teacher knows
    assert {c.teacher for c in students if c.condition in ("full", "uniform")} == {teachers[0].folder}
    assert {c.teacher for c in students if c.condition == "noisy"} == {teachers[1].folder}
    assert len({cell.folder for cell in found}) == len(found)
    assert all(cell.options["data_seed"] == 42 and cell.options["control"] is False for cell in students)


def test_seeds_of_data_and_teachers_may_go_with_those_of_training():
    found = cells(make_grid(grid(seeds=[1, 2], data_seeds=[7, 8], teacher_seeds=[3, 4])))
    students = [cell for cell in found if cell.method == "kd"]
    assert [(c.seed, c.options["data_seed"]) for c in students] == [(1, 7), (2, 8)]
    teachers = {c.folder: c for c in found if c.method == "teacher"}
    assert [teachers[c.teacher].seed for c in students] == [3, 4]


def test_methods_may_be_variants_with_options():
    made = make_grid(grid(methods=["cr-ild", {"no consistency": {"method": "cr-ild", "consistency": 0}}, "ft"]))
    options = {c.method: c.options for c in cells(made) if c.seed == 42}
    assert options["no consistency"]["consistency"] == 0
    assert options["no consistency"]["method"] == options["cr-ild"]["method"] == "cr-ild"
    assert list(made.methods) == ["cr-ild", "no consistency", "ft"]


def test_the_student_without_a_teacher_takes_no_part_in_supplementary_texts():
    found = cells(make_grid(grid(conditions={"more": {"supplementary": "x.txt", "supplementary_mode": "join"}})))
    more = {cell.method: "supplementary" in cell.options for cell in found if cell.method != "teacher"}
    assert more == {"kd": True, "cr-ild": True, "ft": False}


def test_a_part_of_a_grid_is_named_by_a_pattern():
    made = cells(make_grid(grid(seeds=[1, 2], conditions={"full": {}, "noisy": {"label_noise": 0.3}})))
    part = select(made, "films, noisy, cr-ild, seed *")
    assert [cell.name for cell in part] == [
        "films, noisy, teacher, seed 42",
        "films, noisy, cr-ild, seed 1",
        "films, noisy, cr-ild, seed 2",
    ]
    assert all(cell in made for cell in part)
    assert select(made, None) == made
    odd = cells(make_grid(grid(conditions={"a[b] c?": {}})))
    assert len(select(odd, "films, a[b] c?, kd, seed 42")) == 2  # as --dry-run prints it
    with pytest.raises(CrildError, match=r"--only filns\*: no run has such a name"):
        select(made, "filns*")


def test_a_teacher_alone_is_a_part_too_and_is_in_the_results(tmp_path):
    made = cells(make_grid(grid(conditions={"full": {}, "noisy": {"label_noise": 0.3}})))
    (teacher,) = select(made, "films, noisy, teacher, seed 42")  # as --dry-run prints it
    outcomes = {teacher.folder: Outcome(result={"metric": "accuracy", "minutes": 1.0, "teacher": {"score": 0.7}})}
    write_results(tmp_path, make_grid(grid()), [teacher], outcomes)
    (run,) = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert (run["task"], run["condition"], run["method"], run["score"]) == ("films", "noisy", "teacher", 0.7)
    assert "0.7000" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": []}, "no tasks"),
        ({"methods": ["cr-idl"]}, "did you mean 'cr-ild'"),
        ({"conditions": {"x": {"label_nois": 0.1}}}, "did you mean 'label_noise'"),
        ({"seeds": [1, 1]}, "twice"),
        ({"seeds": ["a"]}, "whole numbers"),
        ({"data_seeds": [1, 2]}, "one for each seed"),
        ({"options": {"student": 2}}, "neither base"),
        ({"options": {"base": "x", "seed": 3}}, "decided by the grid"),
        ({"methods": ["kd", "kd"]}, "twice"),
        ({"conditions": {"a b": {}, "a-b": {}}}, "punctuation"),
    ],
)
def test_mistakes_in_a_grid_are_one_clear_line(changes, message):
    with pytest.raises(CrildError, match=message):
        cells(make_grid(grid(**changes)))


def test_a_grid_file_with_an_unknown_entry_is_refused(tmp_path, capsys):
    path = tmp_path / "g.yaml"
    path.write_text("tasks: [x]\nmethod: [kd]\n")
    with pytest.raises(CrildError, match=r"unknown entry 'method' \(did you mean 'methods'"):
        read_grid(str(path))
    assert main(["compare", str(path), "--output", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    assert main(["compare", "--output", str(tmp_path / "out")]) == 2
    assert "the grid is missing" in capsys.readouterr().err


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny, film_data):
    """A grid that ran through, with one condition that cannot work."""
    folder = tmp_path_factory.mktemp("grid")
    path = folder / "grid.yaml"
    values = {
        "claim": "tiny <models> work",
        "tasks": {"films": str(film_data)},
        "methods": ["kd", "cr-ild"],
        "conditions": {"full": {}, "few & noisy": {"train_rows": 60, "label_noise": 0.3}, "too deep": {"student": 9}},
        "seeds": [1, 2],
        "threads": 1,
        "options": {"base": str(tiny), "track_validation": True, **SMALL},
    }
    path.write_text(json.dumps(values))
    assert main(["compare", str(path), "--output", str(folder / "out")]) == 0
    return path, folder / "out"


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


def test_every_run_of_a_seed_sees_the_same_rows_and_flips(done, film_data):
    _, out = done
    seen = set()
    for config in out.glob("runs/films/few-noisy/*/*/result.json"):
        seen.add(json.dumps(json.loads(config.read_text())["rows"]))
    assert len(seen) == 1
    assert json.loads(seen.pop())["train"] == 54


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
    with pytest.raises(CrildError, match=r"other options \(keep: 'best' there, 'last' in this grid"):
        compare(changed, str(tmp_path / "out"))


def test_another_grid_does_not_take_its_numbers(done, tmp_path):
    path, out = done
    changed = json.loads(path.read_text())
    changed["options"]["max_steps"] = 5
    with pytest.raises(CrildError, match=r"other options \(max_steps: 4 there, 5 in this grid"):
        compare(changed, str(out))
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(CrildError, match="holds no grid"):
        compare(changed, str(tmp_path))


def test_teachers_outputs_are_computed_once_for_all_students(done):
    _, out = done
    assert list((out / "cache").glob("*.safetensors"))
    assert not list(out.glob("runs/**/cache"))


@pytest.mark.parametrize(("workers", "message"), [("0", "a number of local"), ("many", "a number of local")])
def test_senseless_workers_are_refused(workers, message, done, tmp_path):
    with pytest.raises(CrildError, match=message):
        compare(json.loads(done[0].read_text()), str(tmp_path / "new"), workers=workers)
    assert not (tmp_path / "new").exists()


EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


@pytest.mark.parametrize("name", [path.stem for path in EXPERIMENTS.glob("*.yaml")])
def test_every_committed_grid_is_one_and_names_its_claim(name):
    made = read_grid(str(EXPERIMENTS / f"{name}.yaml"))
    assert made.claim.endswith(".")
    found = cells(made)
    assert len(found) > 10
    assert any(cell.options.get("method") == "ft" for cell in found)
    page = (EXPERIMENTS.parent / "docs" / "compare.md").read_text(encoding="utf-8")
    assert f"| [{name}](../experiments/{name}.yaml), {len(found)} runs | {made.claim} |" in page


def test_the_committed_pages_are_made_from_the_committed_result_files():
    from docs.results import ROOT, pages

    for name, text in pages().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "run `make results`"


def test_the_demos_tweets_have_as_many_to_score_on_as_the_name_says(tmp_path):
    made = make_grid(grid(tasks={"tweets": {"data": "demo:30"}}, conditions={"more": {"supplementary": "demo:30"}}))
    todo = cells(made)
    write_demo(tmp_path, todo)
    files = {path.name: len(path.read_text().splitlines()) for path in (tmp_path / "data" / "demo-30").iterdir()}
    assert files == {"train.jsonl": 1100, "unlabelled.jsonl": 2500, "validation.jsonl": 30}
    config = configure(tmp_path, next(cell for cell in todo if cell.method == "kd"))
    assert config.data == str(tmp_path / "data" / "demo-30")
    assert config.supplementary == str(tmp_path / "data" / "demo-30" / "unlabelled.jsonl")
