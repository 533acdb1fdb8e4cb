"""What `crild` offers, and that it stays what it is whatever was imported before."""

import importlib
import logging
import pkgutil
import random
import warnings
from importlib.util import find_spec
from inspect import isclass, isfunction

import datasets
import numpy as np
import pandas as pd
import torch
import transformers

import crild
from tests.conftest import reviews


def test_public_names_stay_what_is_documented_after_every_module_was_imported():
    for module in pkgutil.walk_packages(crild.__path__, "crild."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in crild.__all__:
        thing = getattr(crild, name)
        assert isfunction(thing) or isclass(thing), f"crild.{name} is {thing!r}"
        assert thing.__name__ == name
        assert find_spec(f"crild.{name}") is None, f"crild.{name} is also a module"


def test_the_functions_of_the_diagnostics_have_a_package_of_their_own():
    package = crild.__getattr__("diagnostics")
    assert package is crild.diagnostics
    for name in package.__all__:
        assert isfunction(getattr(package, name)) or isclass(getattr(package, name)), name
        assert find_spec(f"crild.diagnostics.{name}") is None, f"crild.diagnostics.{name} is also a module"


def test_dir_shows_them_alone():
    assert dir(crild) == sorted(crild.__all__)


def settings():
    """Whatever a library may change behind its caller's back."""
    loggers = {name: each.level for name, each in logging.root.manager.loggerDict.items() if hasattr(each, "level")}
    return {
        "loggers": loggers | {"": logging.root.level},
        "handlers": list(logging.root.handlers),
        "filters": list(warnings.filters),
        "transformers": (transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()),
        "datasets": (datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()),
        "random": random.getstate(),
        "numpy": str(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
    }


def test_calls_leave_the_callers_settings_as_they_were(tiny, tiny_teacher, tmp_path):
    rows = pd.DataFrame(reviews(60))
    few = {"max_steps": 1, "precision": "fp32"}
    grid = {"tasks": {"films": rows}, "methods": ["kd"], "seeds": [1], "threads": 1,
            "options": {"teacher": str(tiny_teacher), "student": 2, **few}}  # fmt: skip
    calls = [
        lambda: crild.finetune(base=tiny, data=rows, output=tmp_path / "t", **few),
        lambda: crild.distill(teacher=tiny_teacher, data=rows, student=2, output=tmp_path / "d", **few),
        lambda: crild.evaluate(model=tiny_teacher, data=rows),
        lambda: crild.compare(grid, tmp_path / "grid"),
    ]
    for call in calls:
        random.seed(5)
        np.random.seed(5)
        torch.manual_seed(5)
        before = settings()
        call()
        after = settings()
        after["loggers"] = {name: after["loggers"][name] for name in before["loggers"]}  # others are new
        assert after == before
