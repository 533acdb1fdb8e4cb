"""What a run or an evaluation found, as tables that fit into 80 columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from crild.escaping import plain

MOST_CLASSES = 5  # of a confusion matrix that fits; of more classes the most frequent mistakes are shown
MOST_MISTAKES = 10
MOST_DECIMAL = 99.95  # from here on a cost has no decimal
WIDEST = 11  # a class name in the head of a column


@dataclass(frozen=True)
class Row:
    """One model: its scores and (perhaps) its costs, as ``result.json`` has them."""

    name: str
    scores: dict[str, Any]
    cost: dict[str, Any]


def table_of(*headings: str) -> Table:
    """Return an empty table: texts in the first column, numbers in the others."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False)
    table.add_column(Text(headings[0]), overflow="fold")
    for heading in headings[1:]:
        table.add_column(Text(heading), justify="right", no_wrap=True, overflow="ellipsis")
    return table


def titled(title: str, table: Table) -> Group:
    """Return a table below its title; a table's own title is broken where the table is narrow."""
    return Group(Text(title, style="bold"), table)


def summary(rows: Sequence[Row], metric: str, title: str) -> Group:
    """Return a table of score with interval, parameters, size and latency; in the last column rows a second where they
    are known, else the latency as a share of the first row's."""
    first = rows[0]
    rate = "rows_a_second" in first.cost
    table = table_of("", "score", "95 % interval", "kept", "params", "MB", "ms", "rows/s" if rate else "time")
    of_first = (first.cost.get("latency_ms") or 0) / 100
    for row in rows:
        score, best = row.scores["score"], first.scores["score"]
        table.add_row(
            Text(plain(row.name)),
            f"{score:.4f}",
            "{:.3f} - {:.3f}".format(*row.scores["interval"]) if "interval" in row.scores else "",
            f"{score / best:.1%}" if best > 0 else "-",
            cost(row, "parameters", 1e6, "M"),
            cost(row, "bytes", 1e6),
            cost(row, "latency_ms", 1.0),
            cost(row, "rows_a_second", 1.0) if rate else cost(row, "latency_ms", of_first, "%"),
        )
    return titled(f"{title}: {metric}", table)


LEGEND = "kept, time: shares of the teacher's score and latency; ms: one row at a time"


def cost(row: Row, key: str, unit: float, name: str = "") -> str:
    """Return a cost in its unit; ``-`` where it is not known."""
    if not row.cost.get(key) or not unit:
        return "-"
    value = row.cost[key] / unit
    return f"{value:.{0 if value >= MOST_DECIMAL else 1}f}{name}"


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


# ---- an evaluation ----


def class_table(classes: Sequence[dict[str, Any]]) -> Group:
    """Return precision, recall and F1 of each class."""
    table = table_of("", "precision", "recall", "F1", "rows")
    for each in classes:
        scores = (f"{each[name]:.3f}" for name in ("precision", "recall", "f1"))
        table.add_row(Text(plain(each["label"])), *scores, str(each["rows"]))
    return titled("each class", table)


def confusion_table(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Group:
    """Return the rows of each class by answer; of many classes the most frequent mistakes."""
    if len(labels) <= MOST_CLASSES:
        short = [name if len(name) <= WIDEST else f"{name[: WIDEST - 1]}…" for name in map(plain, labels)]
        table = table_of("label \\ answer", *short)
        for name, line in zip(labels, counts, strict=True):
            table.add_row(Text(plain(name)), *map(str, line))
        return titled("rows by label and answer", table)
    table = table_of("label, answer", "rows")
    wrong = [(line[j], labels[i], labels[j]) for i, line in enumerate(counts) for j in range(len(line)) if i != j]
    for count, label, answer in sorted(wrong, key=lambda each: -each[0])[:MOST_MISTAKES]:
        if count:
            table.add_row(Text(plain(f"{label}, {answer}")), str(count))
    return titled("the most frequent mistakes", table)


def comparison_lines(result: Mapping[str, Any]) -> list[str]:
    """Return how an evaluated model and the one beside it differ, line by line."""
    other = result["compare"]
    low, high = other["difference_interval"]
    lines = [
        f"{other['model']}: {result['metric']} {other['score']:.4f}",
        f"difference {other['difference']:+.4f} (95 % interval {low:+.4f} to {high:+.4f}, paired by row)",
        f"agreement {other['agreement']:.4f} ({other['agreement_metric']}); answers differ in {other['differ']} of "
        f"{result['rows']} rows",
    ]
    for each in other["examples"]:
        text = " | ".join(plain(each[name]) for name in ("text", "text_pair") if name in each)
        said = ", ".join(f"{name} {plain(shown(each[name]))}" for name in ("label", "answer", "compared"))
        lines += [f"  row {each['row']}: {said}", f"    {text if len(text) <= 74 else text[:73] + '…'}"]
    return lines


def shown(answer: Any) -> str:
    """Return an answer as text."""
    if isinstance(answer, list):
        return "+".join(answer) or "none"
    return f"{answer:.3g}" if isinstance(answer, float) else str(answer)
