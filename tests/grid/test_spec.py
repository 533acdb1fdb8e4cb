"""Grids: what they say, and which runs they stand for."""

import pytest

from crild.errors import CrildError
from crild.grid.spec import cells, make_grid, select, slug
from tests.grid.grids import SMALL, grid


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


def test_options_are_shared_but_for_those_that_a_method_says_itself():
    made = make_grid(
        grid(
            tasks={"films": {"data": "a/films", "max_length": 32}},
            methods=["kd", {"hot": {"method": "kd", "temperature": 4, "student": 3}}],
            conditions={"more": {"supplementary": "x.txt", "supplementary_mode": "join", "temperature": 2}},
        )
    )
    shared = {cell.method: cell.shared for cell in cells(made)}
    assert shared["kd"] == shared["ft"]
    assert shared["kd"] > {"base", *SMALL, "data", "max_length", "supplementary", "supplementary_mode", "temperature"}
    assert shared["kd"] - shared["hot"] == {"temperature", "student"}


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
        ({"tune": 12}, "tune: give lines of"),
        ({"tune": {"trial": 12}}, "did you mean 'trials'"),
        ({"tune": {"trials": 0}}, "trials: 0 is out of range"),
        ({"tune": {"search": ["keep"]}}, "search holds lines"),
        ({"tune": {"search": {"ild_learning_rat": "1:2"}}}, "did you mean 'ild_learning_rate'"),
        ({"tune": {"search": {"ild_learning_rate": "2:1"}}}, "is neither low:high"),
        ({"tune": {"search": {"keep": ["bets"]}}}, "did you mean 'best'"),
        ({"tune": {"search": {"label_noise": [0, 0.1]}}}, "label_noise is not searched"),
        ({"tune": {"search": {"kd_epochs": [1, 2]}}}, "kd_epochs is not searched"),
        ({"tune": {"search": {"stage_1_share": [1.5]}}}, "1.5 is no share"),
        ({"tune": {"search": {"stage_1_share": "0.5:2"}}}, "2.0 is no share"),
        ({"tune": {}}, "max_steps is decided by tune"),
        ({"tune": {}, "options": {"base": "x"}, "conditions": {"x": {"validation": "held-out"}}}, "cannot be scored"),
    ],
)
def test_mistakes_in_a_grid_are_one_clear_line(changes, message):
    with pytest.raises(CrildError, match=message):
        cells(make_grid(grid(**changes)))


def test_the_baseline_is_the_first_method_where_the_named_one_is_not_there():
    assert make_grid(grid(baseline="kd")).baseline == "kd"
    assert make_grid(grid(methods=["kd", "l-ild"])).baseline == "kd"


def test_no_name_in_a_grid_leads_out_of_its_folder():
    for name in ("..", ".", "../..", "/", "a/../../b", "\0", ""):
        assert slug(name) not in ("", ".", "..")
        assert "/" not in slug(name)
    assert slug("0.5 of it, ...") == "0.5-of-it-..."
