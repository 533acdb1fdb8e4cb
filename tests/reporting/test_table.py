"""Tables of a run and of an evaluation, in 80 columns."""

import io

import pytest
from rich.console import Console

from crild.methods import METHODS
from crild.reporting.table import (
    LEGEND,
    Row,
    class_table,
    comparison_lines,
    confusion_table,
    result_rows,
    summary,
)


def shown(table):
    """What is printed into a pipe of 80 columns, line by line."""
    console = Console(width=80, file=io.StringIO(), highlight=False)
    console.print(table)
    return console.file.getvalue().splitlines()


def large(score):
    """The costs of a large model."""
    cost = {"parameters": 435_000_000, "bytes": 1_740_000_000, "latency_ms": 1234.5}
    return {"score": score, "interval": [score - 0.1, score + 0.1], **cost}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_of_any_method_and_size_fits_with_one_line_a_model(method):
    result = {"method": method, "teacher": large(-0.05), "student": large(-0.2), "control": {"score": 0.1},
              "constant": {"score": 0.0}}  # fmt: skip
    rows = result_rows(result)
    lines = shown(summary(rows, "pearson_spearman", "multi-label, validation"))
    assert max(map(len, lines)) <= 80
    assert len(lines) == 3 + len(rows)
    assert all(line.startswith(row.name) for line, row in zip(lines[3:], rows, strict=True))
    assert len(LEGEND) <= 80


def test_a_runs_numbers_and_what_is_not_known():
    teacher = {"score": 0.8, "interval": [0.7, 0.9], "parameters": 2e7, "bytes": 8e7, "latency_ms": 10.0}
    student = {"score": 0.6, "interval": [0.5, 0.7], "parameters": 1e7, "latency_ms": 4.0}
    lines = shown(
        summary([Row("t", teacher, teacher), Row("s", student, student), Row("c", {"score": 0.5}, {})], "f1", "x")
    )
    assert lines[0].strip() == "x: f1"
    assert lines[3].split() == ["t", "0.8000", "0.700", "-", "0.900", "100.0%", "20.0M", "80.0", "10.0", "100%"]
    assert lines[4].split() == ["s", "0.6000", "0.500", "-", "0.700", "75.0%", "10.0M", "-", "4.0", "40.0%"]
    assert lines[5].split() == ["c", "0.5000", "62.5%", "-", "-", "-", "-"]


def test_rows_a_second_take_the_place_of_the_share_where_they_are_known():
    teacher, served = large(0.8283) | {"rows_a_second": 1234.6}, large(0.8) | {"rows_a_second": 98.76}
    lines = shown(summary([Row("t", teacher, teacher), Row("served: int8 ONNX, trimmed", served, served)], "f1", "x"))
    assert lines[1].split()[-2:] == ["ms", "rows/s"]
    assert [line.split()[-1] for line in lines[3:]] == ["1235", "98.8"]
    assert (len(lines), max(map(len, lines)) <= 80) == (5, True)


def test_few_classes_are_a_matrix_and_many_their_mistakes():
    lines = shown(confusion_table(["contradiction", "neutral", "[bold]"], [[5, 1, 0], [0, 7, 0], [2, 0, 3]]))
    assert "contradict…" in lines[1]
    assert lines[3].split() == ["contradiction", "5", "1", "0"]
    assert lines[5].split() == ["[bold]", "2", "0", "3"]
    names = [f"intent {i}" for i in range(70)]
    counts = [[100 if i == j else i * (j == 0) for j in range(70)] for i in range(70)]
    lines = shown(confusion_table(names, counts))
    assert lines[3].split() == ["intent", "69,", "intent", "0", "69"]
    assert len(lines) == 3 + 10
    lines = shown(class_table([{"label": "x" * 100, "precision": 1.0, "recall": 0.5, "f1": 2 / 3, "rows": 4}]))
    assert max(map(len, lines)) <= 80
    assert "0.667" in "".join(lines)


def test_a_comparison_shows_rows_in_one_line_each():
    example = {"row": 3, "text": "a\nb " * 50, "label": ["x", "y"], "answer": [], "compared": ["x"]}
    other = {"model": "t", "score": 0.5, "difference": 0.1, "difference_interval": [0.0, 0.2], "agreement": 0.9,
             "agreement_metric": "accuracy", "differ": 1, "examples": [example]}  # fmt: skip
    lines = comparison_lines({"metric": "f1", "rows": 10, "compare": other})
    assert lines[1] == "difference +0.1000 (95 % interval +0.0000 to +0.2000, paired by row)"
    assert lines[3] == "  row 3: label x+y, answer none, compared x"
    assert max(map(len, lines)) <= 80
    assert lines[4].startswith("    a b a b")
