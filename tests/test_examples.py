"""Every script in examples/ runs; here with a tiny encoder and a few steps."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from crild.objectives import OBJECTIVES
from crild.tasks.registry import TASK_TYPES
from crild.tasks.regression import TASK_TYPE as REGRESSION
from tests.conftest import reviews

FOLDER = Path(__file__).resolve().parents[1] / "examples"
FEW = {"control": False, "precision": "fp32", "max_steps": 2}


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("encoder")
def test_a_csv_file_end_to_end(tiny, tmp_path, capsys):
    result = example("own_csv").main(output=tmp_path, base=tiny, **FEW)
    assert result["rows"]["train"] + result["rows"]["selection"] + result["rows"]["validation"] == 1100
    assert "right, and then lost" in capsys.readouterr().out


def test_an_objective(tiny, film_data, tmp_path, capsys):
    try:
        example("own_objective").main(output=tmp_path / "run", base=tiny, data=film_data, **FEW)
    finally:
        OBJECTIVES.pop("cosine", None)
    assert "step 2: cosine distance 0." in capsys.readouterr().out


def test_a_task_type(tiny, tmp_path):
    result = example("own_task_type").main(output=tmp_path / "run", base=tiny, **FEW)
    assert (result.metric, result.rows["validation"]) == ("within_one", 100)
    apart = (result.predictions.student - result.predictions.label).abs()
    assert result["student"]["score"] == pytest.approx((apart <= 1).mean())
    assert TASK_TYPES["regression"] is REGRESSION


def test_a_grid(tiny, tmp_path, monkeypatch):
    data = {"train": pd.DataFrame(reviews(120)), "validation": pd.DataFrame(reviews(40, seed=1))}
    few = {"max_steps": 1, "precision": "fp32"}
    monkeypatch.setattr("crild.grid.run.share_threads", lambda workers: 1)  # threads of one run wait for each other
    summary = example("grid").main(output=tmp_path / "grid", base=str(tiny), data=data, seeds=(1,), **few)
    assert set(summary.table().reset_index().method) == {"teacher", "constant answer", "ft", "kd", "cr-ild"}
    assert "stands few rows" in str(summary)
