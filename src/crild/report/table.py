"""The summary table of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One model: its scores and (perhaps) its costs, as ``result.json`` has them."""

    name: str
    scores: dict[str, Any]
    cost: dict[str, Any]


def summary(rows: Sequence[Row], metric: str, title: str = "") -> Table:
    """Return a table of score with interval, parameters, size and latency, each with its ratio to the first row."""
    table = Table(title=title or None, title_justify="left")
    table.add_column("")
    for heading in (metric, "95 % interval", "of teacher", "parameters", "on disk", "latency, batch 1"):
        table.add_column(heading, justify="right")
    first = rows[0]
    for row in rows:
        score, best = row.scores["score"], first.scores["score"]
        table.add_row(
            row.name,
            f"{score:.4f}",
            "{:.3f} - {:.3f}".format(*row.scores["interval"]) if "interval" in row.scores else "",
            f"{score / best:.1%}" if best > 0 else "-",
            cost(row, first, "parameters", 1e6, " M"),
            cost(row, first, "bytes", 1e6, " MB"),
            cost(row, first, "latency_ms", 1.0, " ms"),
        )
    return table


def cost(row: Row, first: Row, key: str, unit: float, name: str) -> str:
    """Return a cost with its ratio to the first row."""
    if key not in row.cost:
        return "-"
    ours, theirs = row.cost[key], first.cost.get(key)
    return f"{ours / unit:.1f}{name}" + (f" ({ours / theirs:.2f})" if theirs else "")


def result_rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of a run: teacher, control, student."""
    rows = [Row("teacher", result["teacher"], result["teacher"])]
    if student := result.get("student"):
        if result.get("control"):
            rows.append(Row("student without teacher", result["control"], student))
        rows.append(Row(f"student, {result['method']}", student, student))
    return rows + constant_row(result)


def constant_row(result: dict[str, Any]) -> list[Row]:
    """Return the row of whoever always gives the same answer, if the result has its score."""
    return [Row("always the same answer", result["constant"], {})] if result.get("constant") else []
