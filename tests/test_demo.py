"""The demo, small, the whole of it."""

import subprocess
import sys
from importlib import util

import pytest

from crild.cli import main
from crild.demo import SERVED, TRAINED, run_demo, settings, show_demo
from crild.errors import CrildError
from crild.serving import timing


@pytest.mark.slow
def test_a_small_demo_from_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(timing, "ROUNDS", {1: 3, 32: 1})
    values = settings()
    assert values["data"] == "demo:1200"
    values["data"] = "demo:100"
    values["train"] |= {"max_steps": 2, "train_rows": 80}
    result = run_demo(str(tmp_path / "demo"), values)
    assert all(0 <= result[name]["score"] <= 1 for name in ("teacher", "control", "kd", "student"))
    assert result["kd"]["parameters"] == result["student"]["parameters"] < result["teacher"]["parameters"]
    assert (result["rows"]["supplementary"], result["rows"]["validation"]) == (2500, 100)
    served, student = result["served"], result["student"]
    assert abs(served["score"] - student["score"]) <= 0.1  # of a hundred rows
    assert served["tokens"] <= 7000
    assert served["bytes"] <= result["teacher"]["bytes"] / 10
    assert student["parameters"] - served["parameters"] == (30522 - served["tokens"]) * 384
    for name in TRAINED | SERVED:
        assert result[name]["latency_ms"] > 0
        assert result[name]["rows_a_second"] > 0
    show_demo(result)
    out = capsys.readouterr().out
    for name in (*TRAINED.values(), *SERVED.values(), "always the same answer", "crild evaluate", "rows/s"):
        assert name in out
    table = out[: out.index("One seed")].splitlines()
    assert max(map(len, table)) <= 80
    answer = subprocess.run(
        [sys.executable, f"{served['path']}/serve.py", "what a lovely day"], capture_output=True, text=True, check=True
    )
    assert any(label in answer.stdout for label in ("negative", "neutral", "positive"))
    assert run_demo(str(tmp_path / "demo"), values)["student"]["score"] == result["student"]["score"]
    with pytest.raises(CrildError, match="another version"):
        run_demo(str(tmp_path / "demo"))


def test_what_serves_is_missed_before_anything_is_written(tmp_path, monkeypatch, capsys):
    there = util.find_spec
    monkeypatch.setattr("crild.demo.find_spec", lambda name: None if name == "skeletoken" else there(name))
    assert main(["demo", "--output", str(tmp_path / "demo")]) == 2
    assert "the demo needs skeletoken: pip install '.[demo]'" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_a_foreign_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("precious")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "holds no demo" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
