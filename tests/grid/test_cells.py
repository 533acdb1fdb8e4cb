"""The cells of a grid as runs: which of the shared options may do nothing, and that every committed grid can start."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from crild.errors import CrildError
from crild.grid.cells import configure
from crild.grid.spec import CONTROL, cells, make_grid, read_grid
from crild.methods import METHODS
from crild.run.folder import RunFolder
from crild.run.plan import Facts, plan_distillation
from crild.run.start import prepare
from tests.grid.grids import SMALL, grid
from tools.committed import ROOT, grid_files


def students(made):
    return [cell for cell in cells(made) if cell.method != "teacher"]


def plan(cell, shared, root="out"):
    """The plan of a cell's run, made from its options alone; `shared` are those that may do nothing."""
    config = configure(Path(root), cell)
    facts = Facts(supplementary=1000 if config.supplementary else 0, teacher_is_trained=bool(cell.teacher),
                  task_type="regression" if cell.task == "STS-B" else "classification")  # fmt: skip
    return plan_distillation(config, facts, shared)


SHARED = [
    ({"temperature": 4}, {"kd", "cr-ild", "minilmv2"}),
    ({"hard_label_weight": 0.3}, {"kd", "cr-ild", "minilmv2"}),
    ({"consistency": 0.3}, {"cr-ild"}),
    ({"layer_map": "uniform"}, {"cr-ild", "minilmv2"}),
    ({"relation_heads": 4}, {"minilmv2"}),
    ({"ema": True}, {"cr-ild"}),
    ({"features": "qkv"}, {"cr-ild", "minilmv2"}),
    ({"supplementary": "more.txt"}, {"kd", "cr-ild", "minilmv2"}),
    ({"supplementary": "more.txt", "supplementary_mode": "first"}, {"cr-ild", "minilmv2"}),
]


@pytest.mark.parametrize(("shared", "act_in"), SHARED)
def test_a_shared_option_that_does_nothing_with_a_method_is_left_out(shared, act_in):
    methods = ["kd", "cr-ild", "minilmv2", "ft"]
    plain = {cell.method: cell for cell in students(make_grid(grid(methods=methods, seeds=[1])))}
    for where in ({"conditions": {"more": shared}}, {"options": {"base": "enc", **SMALL, **shared}},
                  {"tasks": {"films": {"data": "a/films", **shared}}}):  # fmt: skip
        for cell in students(make_grid(grid(methods=methods, seeds=[1], **where))):
            with_it, without = plan(cell, cell.shared), plan(plain[cell.method], frozenset())
            assert (with_it != without) == (cell.method in act_in), cell.name
            if cell.method not in act_in:
                with pytest.raises(CrildError, match="would do nothing with method"):
                    plan(cell, frozenset())


@pytest.mark.parametrize(
    "entry",
    [
        {"hot": {"method": "ft", "temperature": 4}},
        {"more": {"method": "kd", "consistency": 0.2}},
        {"texts": {"method": "ft", "supplementary": "more.jsonl"}},
    ],
)
def test_what_a_method_entry_says_itself_is_refused_where_it_does_nothing(entry):
    cell = students(make_grid(grid(methods=entry)))[0]
    with pytest.raises(CrildError, match="would do nothing with method"):
        plan(cell, cell.shared)


def test_a_method_entry_may_speak_of_its_teacher():
    made = make_grid(grid(methods=["kd", {"gentle": {"method": "kd", "finetune_epochs": 3}}], seeds=[1]))
    by_method = {cell.method: cell for cell in students(made)}
    assert by_method["gentle"].teacher != by_method["kd"].teacher
    for cell in by_method.values():
        assert plan(cell, cell.shared).stages


def test_a_run_is_prepared_with_shared_options_that_do_nothing_in_it(tiny, film_data, tmp_path):
    values = grid(tasks={"films": str(film_data)}, options={"base": str(tiny), "temperature": 4, **SMALL})
    (control,) = [cell for cell in students(make_grid(values | {"seeds": [1]})) if cell.method == CONTROL]
    config = configure(tmp_path, replace(control, teacher=None))
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(CrildError, match="--temperature would do nothing with method ft"):
        prepare(config, folder)
    assert prepare(config, folder, control.shared).plan.method == "ft"


def test_paths_are_absolute_in_a_run_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "films").mkdir(parents=True)
    (tmp_path / "2").mkdir()  # a folder that is called as a number of layers is
    (cell, *_) = students(make_grid(grid(conditions={"more": {"supplementary": "demo"}})))
    config = configure(tmp_path / "out", cell)
    assert (config.data, config.student) == (str(tmp_path / "a" / "films"), "2")
    assert (config.base, config.supplementary) == ("enc", "demo")


# Every grid that is committed or shown can start


def grids_of_the_docs():
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    return [make_grid(yaml.safe_load(block)) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]


def test_every_grid_of_the_docs_is_accepted_for_every_method():
    shown = grids_of_the_docs()
    assert shown
    for made in shown:
        for cell in students(made):
            assert plan(cell, cell.shared).stages
        everything = replace(made, methods={name: {"method": name} for name in METHODS})
        for cell in students(everything):
            assert plan(cell, cell.shared).stages


@pytest.mark.parametrize("path", grid_files(), ids=lambda path: path.stem)
def test_every_committed_grid_is_accepted_for_every_method(path):
    for cell in students(read_grid(str(path))):
        assert plan(cell, cell.shared).stages, cell.name
