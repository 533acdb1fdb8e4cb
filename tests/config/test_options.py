"""The options themselves."""

import subprocess
import sys
from pathlib import Path

from crild.config import DistillConfig, TrainConfig, TuneConfig, with_defaults
from crild.config.declare import is_place, option_names
from crild.tasks import TASK_NAMES
from tests.config.values import OPTIONS

PATHS = {"data", "validation", "supplementary", "teacher", "base", "student", "plugin", "cache", "output", "model",
         "grid", "compare", "predictions", "runs", "run"}  # fmt: skip


def test_only_paths_know_the_home_folder(monkeypatch):
    """B17: `~` was expanded in every text, in a label or a pattern too."""
    monkeypatch.setenv("HOME", "/home/somebody")
    assert {name for name, (cls, _) in OPTIONS.items() if is_place(cls, name)} == PATHS
    for name, (cls, _) in OPTIONS.items():
        if name in PATHS:
            home = ("/home/somebody/x",) if name == "runs" else "/home/somebody/x"
            assert getattr(cls(**{name: "~/x"}), name) == home
            assert getattr(cls(**{name: Path("~/x")}), name) == home
    config = DistillConfig(label="~", text="~/text", label_map="~=neg,~/x=pos")
    assert (config.label, config.text, config.label_map) == ("~", "~/text", "~=neg,~/x=pos")


def test_the_task_types_are_named_in_one_place():
    for name in ("auto", *TASK_NAMES):
        assert TrainConfig(task=name).task == name


def test_a_run_of_an_earlier_version_had_the_defaults_of_the_options_that_it_did_not_know():
    assert with_defaults({"seed": 7}, {"seed": 1, "keep": "last"}) == {"seed": 7, "keep": "best"}


def test_a_search_knows_every_option_of_a_run():
    assert set(option_names(TuneConfig)) == {*option_names(DistillConfig), "trials", "search"}


def test_options_need_none_of_the_libraries_that_take_seconds():
    heavy = ["torch", "transformers", "datasets", "numpy", "pandas", "rich"]
    code = f"import sys; sys.modules.update(dict.fromkeys({heavy}))\nimport crild.config.arguments, crild.cli"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
