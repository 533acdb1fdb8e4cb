"""The table of a grid as terminal text, Markdown, LaTeX and CSV.

All of it is a function of the summary alone: no dates, no paths, no timings but what a tuning took, so the same runs
give the same bytes.
Names and errors come from data: each format escapes them.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, Generic, TypeVar

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from crild.escaping import escape_markdown, plain
from crild.grid.space import spelled
from crild.grid.statistics import TEST
from crild.grid.table import Block, Found, Row, Summary

BEST = "best of validation (optimistic)"
SETTINGS = "Settings found"
ROLES = {
    "teacher": "", "constant": " (always the same)", "control": " (student without a teacher)", "method": "",
}  # fmt: skip
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}", "<": r"\textless{}",
    ">": r"\textgreater{}", '"': "''", "±": r"$\pm$", "[": "{[}", "]": "{]}", "*": "{*}", "`": r"\textasciigrave{}",
}  # fmt: skip
R = TypeVar("R", Row, Found)
FORMULA = ("=", "+", "-", "@")  # a cell that starts with one of these is run by a spreadsheet


@dataclass(frozen=True)
class Column(Generic[R]):
    """A column of a table.

    Attributes:
        heading: its name.
        text: what a row shows.
        value: what a row is sorted by; ``None`` for a column of texts.
    """

    heading: str
    text: Callable[[R], str]
    value: Callable[[R], float | None] | None = None


def columns(summary: Summary, metric: str | None, narrow: bool = False) -> list[Column[Row]]:
    """Return the columns of a block; ``narrow`` for a terminal of 80 characters, which has its legend below."""
    out = [
        Column("method", (lambda r: r.name) if narrow else label),
        Column("seeds", seeds_text, lambda r: len(r.scores)),
        Column(metric or "score", score_text, lambda r: r.mean),
        Column("kept" if narrow else "of teacher", lambda r: share(r.kept), lambda r: r.kept),
    ]
    if summary.has_best:
        heading = "best *" if narrow else BEST
        out.append(Column(heading, lambda r: decimals(r.best_validation), lambda r: r.best_validation))
    return [
        *out,
        Column("rank", lambda r: rank_text(r.rank), lambda r: r.rank),
        Column(
            f"{'vs' if narrow else 'difference to'} {summary.baseline}",
            lambda r: signed(r.difference),
            lambda r: r.difference,
        ),
        Column("adj. p" if narrow else "adjusted p", lambda r: p_text(r.p), lambda r: r.p),
        Column("verdict", lambda r: r.verdict),
    ]


def overview(summary: Summary) -> list[Column[Row]]:
    """Return columns of a table with a row for each method (and the teacher), a column for each block."""

    def find(block: Block, row: Row) -> Row:
        return next(r for r in block.rows if r.name == row.name)

    def block_column(block: Block) -> Column[Row]:
        metric = f" ({block.metric})" if block.metric else ""
        return Column(f"{block.name}{metric}", lambda r: score_text(find(block, r)), lambda r: find(block, r).mean)

    def average(row: Row) -> float | None:
        return None if row.role == "teacher" else summary.ranks.average.get(row.name)

    return [
        Column("method", label),
        *(block_column(block) for block in summary.blocks),
        Column("average rank", lambda r: decimals(average(r), 2), average),
    ]


def overview_rows(summary: Summary) -> tuple[Row, ...]:
    """Return the rows of the overview; there is none of a single block."""
    return summary.blocks[0].rows if len(summary.blocks) > 1 else ()


SETTINGS_COLUMNS: list[Column[Found]] = [
    Column("task", lambda f: f.task),
    Column("condition", lambda f: f.condition),
    Column("method", lambda f: f.method),
    Column("score on held-out rows", lambda f: decimals(f.score), lambda f: f.score),
    Column("trials", lambda f: str(f.trials), lambda f: f.trials),
    Column("ended early", lambda f: "-" if f.pruned is None else str(f.pruned), lambda f: f.pruned),
    Column("minutes", lambda f: decimals(f.minutes, 1), lambda f: f.minutes),
    Column("settings", lambda f: f"failed: {f.error}" if f.settings is None else spelled(f.settings)),
]


def pair_lines(block: Block) -> list[str]:
    """Return a line for each method that is better than others: those that it is told apart from."""
    lines = []
    for better in block.comparison.methods:
        pairs = [block.comparison.find(better, other) for other in block.comparison.methods]
        won = [p for p in pairs if p is not None and p.told_apart and p.difference > 0]
        if won:
            theirs = (f"{p.second} ({signed(p.difference)}, adjusted p {p_text(p.p)})" for p in won)
            lines.append(f"{better} over {', '.join(theirs)}")
    return lines


def pair_summary(block: Block) -> str:
    """Return the title of `pair_lines`: that none is told apart is worth saying too."""
    if block.comparison.critical is None:
        return ""
    return "Pairs told apart:" if pair_lines(block) else "Pairs told apart: none."


def failure_lines(block: Block) -> list[str]:
    """Return a line for each failed run."""
    return [f"{row.name}, seed {each.seed}: {each.error}" for row in block.rows for each in row.failures]


# Cells


def label(row: Row) -> str:
    """Return what a row is called."""
    return row.name + ROLES[row.role]


def seeds_text(row: Row) -> str:
    """Return the number of scores, and of how many runs if some have none; the constant answer takes no run."""
    if row.role == "constant":
        return "-"
    return str(len(row.scores)) if len(row.scores) == row.runs else f"{len(row.scores)} of {row.runs}"


def score_text(row: Row) -> str:
    """Return mean ± standard deviation; what is not there is named."""
    if row.mean is None:
        return "failed" if row.failures else "missing"
    return f"{row.mean:z.4f}" + (f" ± {row.deviation:.4f}" if row.deviation is not None else "")


def decimals(value: float | None, digits: int = 4) -> str:
    """Return a number, or a dash."""
    return "-" if value is None else f"{value:z.{digits}f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign."""
    return "-" if value is None else f"{value:+z.4f}"


def share(value: float | None) -> str:
    """Return a percentage."""
    return "-" if value is None else f"{value:.1%}"


def rank_text(value: float | None) -> str:
    """Return a rank; a shared one may be a half."""
    return "-" if value is None else f"{value:g}"


def p_text(value: float | None) -> str:
    """Return a p."""
    return "-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


# Formats


def terminal(summary: Summary) -> Group:
    """Return rich tables; texts from data are never read as markup."""
    parts: list[RenderableType] = []
    if summary.claim:
        parts += [Text(f"Claim: {plain(summary.claim)}"), Text("")]
    for block in summary.blocks:
        table = rich_table(block.name, columns(summary, block.metric, narrow=True), block.rows)
        lines = [*block.notes, pair_summary(block), *(f"- {line}" for line in pair_lines(block))]
        lines += [f"Failed: {line}" for line in failure_lines(block)]
        parts += [table, *(Text(plain(line)) for line in lines if line), Text("")]
    if overview_rows(summary) and summary.ranks.average:
        first, *_, last = overview(summary)
        ranked = [row for row in overview_rows(summary) if row.name in summary.ranks.average]
        parts.append(rich_table(f"Average rank over {len(summary.ranks.counted)} blocks", [first, last], ranked))
    if summary.tunings:
        parts += [rich_table(SETTINGS, SETTINGS_COLUMNS, summary.tunings), Text("")]
    legend = [f"{name}: student without a teacher" for name in summary.controls] + [
        "kept: share of the teacher's score"
    ]
    legend += [f"best *: {BEST}"] if summary.has_best else []
    legend += [f"vs {summary.baseline}: difference over paired seeds", "adj. p: adjusted for all pairs"]
    parts += [Text(plain(note)) for note in summary.notes]
    if summary.blocks:
        parts.append(Text(plain("; ".join(legend)) + "."))
    return Group(*parts, Text(TEST, style="dim"))


def rich_table(title: str, shown: Sequence[Column[R]], rows: Sequence[R]) -> Table:
    """Return a rich table, as narrow as its numbers: only texts are broken over lines where the terminal is narrow."""
    table = Table(
        title=Text(plain(title), style="bold"), title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0
    )
    for column in shown:
        heading = plain(column.heading)
        if column.value is None:
            table.add_column(Text(heading), overflow="fold")
        else:
            width = max([len(plain(column.text(row))) for row in rows] + [min(10, len(w)) for w in heading.split()])
            table.add_column(Text(fill(heading, width, break_on_hyphens=False)), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(plain(column.text(row))) for column in shown))
    return table


def markdown(summary: Summary) -> str:
    """Return GitHub Markdown."""
    e = escape_markdown
    out = ["# Comparison of methods", ""]
    if summary.claim:
        out += [f"Claim: {e(summary.claim)}", ""]
    if rows := overview_rows(summary):
        out += ["## Overview", "", *markdown_table(overview(summary), rows), ""]
    out += [line for note in summary.notes for line in (e(note), "")]
    for block in summary.blocks:
        out += [f"## {e(block.name)}", "", *markdown_table(columns(summary, block.metric), block.rows), ""]
        out += [line for note in block.notes for line in (e(note), "")]
        if title := pair_summary(block):
            out += [e(title), "", *markdown_list(pair_lines(block))]
        if failed := failure_lines(block):
            out += ["Failed runs:", "", *markdown_list(failed)]
    if summary.tunings:
        out += [f"## {SETTINGS}", "", *markdown_table(SETTINGS_COLUMNS, summary.tunings), ""]
    return "\n".join([*out, e(TEST)]) + "\n"


def markdown_table(shown: Sequence[Column[R]], rows: Sequence[R]) -> list[str]:
    """Return the lines of a table."""
    lines = [[column.heading for column in shown], *([column.text(row) for column in shown] for row in rows)]
    head, *body = ("| " + " | ".join(escape_markdown(cell) for cell in line) + " |" for line in lines)
    return [head, "|" + "|".join(" --- " if c.value is None else " ---: " for c in shown) + "|", *body]


def markdown_list(lines: Sequence[str]) -> list[str]:
    """Return a list and the blank line behind it."""
    return [*(f"- {escape_markdown(line)}" for line in lines), ""] if lines else []


def latex(summary: Summary) -> str:
    """Return LaTeX tables that need the package booktabs."""
    e = escape_latex
    out = [r"% Needs \usepackage{booktabs}."]
    if rows := overview_rows(summary):
        caption = " ".join(["Mean ± standard deviation over seeds.", summary.claim, *summary.notes]).strip()
        out += latex_table(overview(summary), rows, e(caption), "tab:comparison")
    else:
        out += [e(note) for note in summary.notes]
    for number, block in enumerate(summary.blocks, 1):
        sentences = [f"{block.name}.", *block.notes, " ".join([pair_summary(block), "; ".join(pair_lines(block))])]
        if failed := failure_lines(block):
            sentences.append("Failed runs: " + "; ".join(failed) + ".")
        shown = columns(summary, block.metric)
        out += ["", *latex_table(shown, block.rows, e(" ".join(sentences)), f"tab:comparison-{number}")]
    if summary.tunings:
        out += ["", *latex_table(SETTINGS_COLUMNS, summary.tunings, f"{SETTINGS}.", "tab:settings")]
    return "\n".join([*out, "", e(TEST)]) + "\n"


def latex_table(shown: Sequence[Column[R]], rows: Sequence[R], caption: str, name: str) -> list[str]:
    """Return the lines of a table; ``caption`` is escaped already."""
    texts = pd.DataFrame([[column.text(row) for column in shown] for row in rows])
    # Headings may repeat, so the frame's columns are numbered.
    headings: dict[object, str] = {number: escape_latex(column.heading) for number, column in enumerate(shown)}
    style = texts.style.hide(axis="index").format(cell_latex)
    return (
        style.format_index(lambda number: headings[number], axis=1)
        .to_latex(
            column_format="".join("l" if column.value is None else "r" for column in shown),
            hrules=True,
            position_float="centering",
            caption=caption,
            label=name,
        )
        .splitlines()
    )


def cell_latex(text: object) -> str:
    """Return a cell's text for LaTeX; the sign of a number is set as one."""
    return re.sub(r"^([+-])(?=\d)", r"$\1$", escape_latex(text))


def escape_latex(text: object) -> str:
    """Return text that LaTeX sets as it is; ``--`` would become a dash."""
    return "".join(LATEX.get(c, c) for c in plain(text)).replace("--", "-{}-")


def csv_text(summary: Summary) -> str:
    """Return `Summary.to_frame` as CSV: numbers in full, what is not there is empty."""
    return summary.to_frame().map(csv_cell).to_csv(index=False, lineterminator="\n")


def settings_csv(summary: Summary) -> str:
    """Return what was found as CSV; settings are JSON."""
    lines = [vars(f) | {"settings": f.settings and json.dumps(f.settings)} for f in summary.tunings]
    return pd.DataFrame(lines).map(csv_cell).to_csv(index=False, lineterminator="\n")


def csv_cell(value: Any) -> Any:
    """Return a cell; an apostrophe keeps a spreadsheet from running a text as a formula."""
    if not isinstance(value, str):
        return value
    text = plain(value)
    return "'" + text if text.startswith(FORMULA) else text
