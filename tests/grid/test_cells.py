"""The cells of a grid as runs: which of the shared options reach a method, and that every committed grid can start."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from crild.preparation import prepare

from crild.errors import CrildError
from crild.grid.cells import configure, prepare_what_acts
from crild.grid.spec import CONTROL, Cell, cells, make_grid, read_grid
from crild.methods import METHODS
from tests.conftest import reviews, save_tiny, write_jsonl
from tests.grid.grids import SMALL, grid

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def further_texts(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("further") / "more.jsonl", [{"text": "a fine film, number 7"}])


def shared_by_all(film_data, tiny, further_texts, methods, **shared):
    """The cells of a grid whose condition says `shared`, by method."""
    made = make_grid(
        {
            "tasks": {"films": str(film_data)},
            "methods": methods,
            "conditions": {"shared": shared},
            "seeds": [1],
            "options": {"base": str(tiny), **SMALL, "supplementary": str(further_texts)},
        }
    )
    return {cell.method: cell for cell in cells(made) if cell.method != "teacher"}


@pytest.mark.parametrize(
    ("shared", "acts"),
    [
        ({"temperature": 4}, {"kd": True, "cr-ild": True, "ft": False}),
        ({"hard_label_weight": 0.3}, {"kd": True, "cr-ild": True, "ft": False}),
        ({"consistency": 0.3}, {"kd": False, "cr-ild": True, "l-ild": False, "ft": False}),
        ({"layer_map": "uniform"}, {"kd": False, "l-ild": True, "mixkd": False, "ft": False}),
        ({"relation_heads": 4}, {"kd": False, "l-ild": False, "minilmv2": True, "ft": False}),
        ({"ema": True}, {"kd": False, "cr-ild": True, "ft": False}),
        ({"features": "qkv"}, {"kd": False, "l-ild": True, "ft": False}),
    ],
)  # fmt: skip
def test_a_shared_option_that_does_nothing_with_a_method_is_left_out(
    shared, acts, film_data, tiny, further_texts, tmp_path
):
    ((name, value),) = shared.items()
    found = shared_by_all(film_data, tiny, further_texts, list(acts), **shared)
    for method, does in acts.items():
        config = configure(tmp_path, found[method])
        assert getattr(config, name) == value
        left = getattr(prepare_what_acts(replace(config, teacher=None), found[method].shared).config, name)
        assert left == (value if does else getattr(type(config), name)), method


@pytest.mark.parametrize(
    ("mode", "reads"),
    [("first", {"l-ild": True, "kd": False, "ft": False}), ("join", {"l-ild": True, "kd": True, "ft": False})],
)
def test_further_texts_are_left_out_where_a_method_does_not_look_at_them(
    mode, reads, film_data, tiny, further_texts, tmp_path
):
    found = shared_by_all(film_data, tiny, further_texts, list(reads), supplementary_mode=mode)
    for method, does in reads.items():
        config = replace(configure(tmp_path, found[method]), teacher=None)
        assert (prepare_what_acts(config, found[method].shared).supplementary is not None) == does, method


@pytest.mark.parametrize(
    "entry",
    [
        {"hot": {"method": "ft", "temperature": 4}},
        {"more": {"method": "kd", "consistency": 0.2}},
        {"texts": {"method": "ft", "supplementary": "more.jsonl"}},
    ],
)
def test_what_a_method_entry_says_itself_is_refused_where_it_does_nothing(
    entry, film_data, tiny, further_texts, tmp_path
):
    ((name, options),) = entry.items()
    if "supplementary" in options:
        options["supplementary"] = str(further_texts)
    cell = shared_by_all(film_data, tiny, further_texts, entry)[name]
    with pytest.raises(CrildError, match="would do nothing with method"):
        prepare_what_acts(replace(configure(tmp_path, cell), teacher=None), cell.shared)


def test_paths_are_absolute_in_a_run_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "films").mkdir(parents=True)
    (tmp_path / "2").mkdir()  # a folder that is called as a number of layers is
    found = cells(make_grid(grid(conditions={"more": {"supplementary": "demo"}})))
    config = configure(tmp_path / "out", next(cell for cell in found if cell.method == "kd"))
    assert (config.data, config.student) == (str(tmp_path / "a" / "films"), "2")
    assert (config.base, config.supplementary) == ("enc", "demo")


# Every grid that is committed or shown can start


def committed():
    """Every grid in the docs and in experiments/, by name."""
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    shown = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    grids = {f"docs {number}": make_grid(values) for number, values in enumerate(shown)}
    return grids | {path.stem: read_grid(str(path)) for path in sorted((ROOT / "experiments").rglob("*.yaml"))}


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """A deep tiny encoder, a shallow one, and data of both kinds, for those that a grid names."""
    folder = tmp_path_factory.mktemp("stand-ins")
    numbers = [{"text": row["text"], "label": len(row["text"]) / 10} for row in reviews(40)]
    write_jsonl(folder / "numbers" / "train.jsonl", numbers)
    write_jsonl(folder / "further.jsonl", [{"text": "a fine film, number 7"}])
    write_jsonl(folder / "classes" / "train.jsonl", reviews(40))
    return {
        "base": str(save_tiny(folder / "deep", layers=12)),
        "student": str(save_tiny(folder / "shallow", layers=2)),
        "classes": str(folder / "classes"),
        "numbers": str(folder / "numbers"),
        "supplementary": str(folder / "further.jsonl"),
    }


# What is said of data has stand-ins, and how long and fast a stage trains decides nothing here.
LEFT_OUT = re.compile(
    "text|text_pair|label|metric|validation|data_seed|seed|train_rows|max_length|preset|precision|max_steps|keep|"
    "label_noise|imbalance|track_validation|.*_epochs|.*_learning_rate|.*_batch_size"
)


@pytest.mark.slow
def test_every_committed_grid_can_start(stand_ins, tmp_path):
    grids = committed()
    assert "docs 0" in grids
    assert len(grids) > 20
    seen = set()
    for name, made in grids.items():
        for cell in cells(made):
            if cell.method == "teacher":
                continue
            options = {key: value for key, value in cell.options.items() if not LEFT_OUT.fullmatch(key)}
            options |= {"data": stand_ins["numbers" if cell.task == "STS-B" else "classes"], "base": stand_ins["base"]}
            if "/" in str(options["student"]):
                options["student"] = stand_ins["student"]
            if "supplementary" in options:
                options["supplementary"] = stand_ins["supplementary"]
            shared = frozenset(name for name in cell.shared if not LEFT_OUT.fullmatch(name))
            key = json.dumps([options, sorted(shared)], sort_keys=True)
            if key in seen:
                continue
            seen.add(key)
            config = configure(tmp_path, Cell(cell.task, "", cell.method, 1, "run", options, None, shared))
            try:
                prepare_what_acts(config, shared)
            except CrildError as error:
                pytest.fail(f"{name}: {cell.name}: {error}")


def test_the_example_of_the_docs_has_a_condition_that_not_every_method_takes(stand_ins, tmp_path):
    example = make_grid(
        yaml.safe_load(re.search(r"```yaml\n(.*?)```", (ROOT / "docs/compare.md").read_text(), re.S)[1])
    )
    (cell,) = [
        c for c in cells(example) if (c.task, c.condition, c.method, c.seed) == ("RTE", "uniform map", CONTROL, 42)
    ]
    options = cell.options | {"data": stand_ins["classes"], "base": stand_ins["base"]}
    config = configure(tmp_path, replace(cell, options=options, teacher=None))
    with pytest.raises(CrildError, match="--layer-map would do nothing with method ft"):
        prepare(config)
    assert prepare_what_acts(config, cell.shared).config.layer_map is None


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_many_shared_options_at_once(method, stand_ins, tmp_path):
    shared = {
        "temperature": 3, "relation_heads": 4, "consistency": 0.2,
        "ema": True, "ema_decay": 0.9, "hard_label_weight": 0.2, "supplementary_mode": "join",
        "supplementary": stand_ins["supplementary"], "student": 2, "max_steps": 2, "base": stand_ins["base"],
    }  # fmt: skip
    made = make_grid({"tasks": {"films": stand_ins["classes"]}, "methods": [method], "options": shared, "seeds": [1]})
    cell = next(cell for cell in cells(made) if cell.method == method)
    assert prepare_what_acts(configure(tmp_path, replace(cell, teacher=None)), cell.shared).method.name == method
