"""Results print as one table, in a notebook as HTML in which nothing from data is markup; without torch."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from crild.errors import CrildError
from crild.grid.table import summarise
from crild.run.result import Evaluation, Result, Scores

RESULT = Result(
    task="<b>films", kind="classification", metric="accuracy", labels=["neg", "pos"], max_length=64,
    rows={"validation": 60}, seed=1, notes=["a <script>"], constant=0.5, minutes=1.0, selection={},
    models={
        "teacher": Scores(0.8, (0.7, 0.9), {}, parameters=34_178, bytes=136_712, latency_ms=1.5, layers=4),
        "control": None,
        "student": Scores(0.72, (0.6, 0.8), {}, parameters=17_000, bytes=68_000, latency_ms=0.75, layers=2),
    },
    distillation={"method": "kd"},
)  # fmt: skip


def test_a_result_prints_as_its_table():
    table = RESULT.table()
    assert list(table.index) == ["teacher", "student", "always the same answer"]
    assert list(table.columns) == ["score", "low", "high", "of_teacher", "parameters", "bytes", "latency_ms"]
    assert table.of_teacher.tolist() == pytest.approx([1, 0.9, 0.625])
    lines = str(RESULT).splitlines()
    assert lines[0] == "<b>films, kd: accuracy on 60 validation rows"
    assert lines[3].split() == ["student", "0.72", "0.6", "0.8", "0.9", "17,000", "68,000", "0.75"]
    assert lines[-1] == "note: a <script>"
    assert repr(RESULT) == str(RESULT)
    assert max(map(len, lines)) <= 120


def test_html_is_escaped():
    html = RESULT._repr_html_()
    assert "<b>" not in html
    assert "<script>" not in html
    assert "&lt;b&gt;films" in html
    assert "<td>0.72</td>" in html


def test_an_evaluation_and_a_grid_print_too():
    found = Evaluation(
        "films", "f1", 0.5, [0.4, 0.6], {"accuracy": 0.7, "f1": 0.5}, 60, 100, [], "bert", pd.DataFrame()
    )
    assert found.table().score.tolist() == [0.5, 0.7]
    assert str(found).startswith("films: f1 0.5000 on 60 rows, 100 parameters\n")
    assert found["interval"] == [0.4, 0.6]
    assert "predictions" not in dict(found)
    run = {"task": "films", "condition": "<i>", "method": "kd", "seed": 1, "control": False, "status": "done",
           "error": None, "metric": "accuracy", "score": 0.7}  # fmt: skip
    summary = summarise([run], "a claim", "kd", ["kd"])
    assert summary.table().loc[("films", "<i>", "kd"), "mean"] == 0.7
    assert str(summary).startswith("a claim (differences from kd)\n")
    assert "<i>" not in summary._repr_html_()
    assert summary.to_dict()["claim"] == "a claim"


def test_a_result_without_its_folder_says_so():
    with pytest.raises(CrildError, match="without its run's folder"):
        RESULT.predictions  # noqa: B018


def test_nothing_of_it_needs_torch():
    source = Path(__file__).read_text(encoding="utf-8")
    result = source[source.index("RESULT = ") : source.index("\n\n\ndef test_a_result_prints")]
    lines = ["import sys", "from crild.run.result import Result, Scores", result, "print(RESULT)"]
    code = "\n".join([*lines, "assert 'torch' not in sys.modules"])
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
