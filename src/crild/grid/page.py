"""The table of a grid as one HTML page, with pictures: what is told apart, scores by seed, robustness to noise."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crild.files import write_whole
from crild.grid.formats import (
    SETTINGS,
    SETTINGS_COLUMNS,
    Column,
    R,
    columns,
    csv_text,
    decimals,
    failure_lines,
    label,
    latex,
    markdown,
    overview,
    overview_rows,
    p_text,
    pair_lines,
    pair_summary,
    settings_csv,
    signed,
)
from crild.grid.noise import Noise
from crild.grid.statistics import ALPHA, TEST, critical_difference, together
from crild.grid.table import Block, Row, Summary
from crild.reporting.figures import Curve, Ranked, critical, curves
from crild.reporting.page import Details, Figure, Listing, Part, Rows, Section, Table, Told, render, words

COLOURS = ("also1", "also2", "also3", "also4", "also5", "also6")
NOISE = "noise, share of each tensor's size"
JOINED = "Bars on the right join methods that are not told apart."


def write_all(summary: Summary, folder: Path, noise: Sequence[Noise] = ()) -> list[Path]:
    """Write ``table.md``, ``table.tex``, ``table.csv`` and ``table.html``, and ``settings.csv`` of a tuned grid.

    Args:
        summary: the table.
        folder: of the files.
        noise: curves of the methods whose runs were diagnosed.

    Returns:
        Their paths.
    """
    texts = {"table.md": markdown(summary), "table.tex": latex(summary), "table.csv": csv_text(summary),
             "table.html": html(summary, noise)}  # fmt: skip
    if summary.tunings:
        texts["settings.csv"] = settings_csv(summary)
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]


def html(summary: Summary, noise: Sequence[Noise] = ()) -> str:
    """Return one page that needs nothing else; it is a function of what is shown alone."""
    kinds = colours(summary)
    sections = [Section("overview", "Overview", overview_parts(summary, kinds))]
    if not overview_rows(summary):
        sections = []
    lead = [f"Claim: {summary.claim}"] if summary.claim else []
    for number, block in enumerate(summary.blocks, 1):
        curves_here = [each for each in noise if (each.task, each.condition) == (block.task, block.condition)]
        sections.append(Section(f"block-{number}", block.name, block_parts(summary, block, kinds, curves_here)))
    if summary.tunings:
        sections.append(Section("settings", SETTINGS, (table_of("", SETTINGS_COLUMNS, summary.tunings),)))
    if not overview_rows(summary):
        lead += summary.notes
    return render("Comparison of methods", lead, sections, TEST)


def colours(summary: Summary) -> dict[str, str]:
    """Return the class of each method's colour: the baseline's is a student's; of many methods some share one."""
    others = [name for name in summary.methods if name not in (summary.baseline, *summary.controls)]
    named = {
        name: COLOURS[place % len(COLOURS)] + " dashed" * (place >= len(COLOURS)) for place, name in enumerate(others)
    }
    return named | dict.fromkeys(summary.controls, "control") | {summary.baseline: "student"}


def table_of(title: str, shown: Sequence[Column[R]], rows: Sequence[R]) -> Table:
    """Return a table of these columns."""
    cells = tuple(
        tuple(c.text(row) if c.value is None else Told(c.text(row), c.value(row)) for c in shown) for row in rows
    )
    return Table(tuple(c.heading for c in shown), cells, title, tuple(getattr(row, "role", "method") for row in rows))


def overview_parts(summary: Summary, kinds: Mapping[str, str]) -> tuple[Part, ...]:
    """Return the table of all blocks, and average ranks with their critical difference."""
    parts: list[Part] = [*words("Mean ± standard deviation over seeds. A heading sorts its table.")]
    parts.append(table_of("All tasks and conditions", overview(summary), overview_rows(summary)))
    parts += words(*summary.notes)
    average, blocks = summary.ranks.average, len(summary.ranks.counted)
    if len(average) > 1 and blocks > 1:
        names = sorted(average, key=lambda name: average[name])
        least = critical_difference(len(names), blocks)
        joined = together(names, lambda a, b: abs(average[a] - average[b]) >= least)
        found = [Ranked(name, kinds.get(name, "also6"), average[name]) for name in names]
        numbers = Table(("method", "average rank"), tuple((name, average[name]) for name in names), "Average ranks")
        note = (
            f"1 is best. {JOINED} Nemenyi's test over {blocks} tasks and conditions: average ranks are told apart from "
            f"a difference of {least:.2f} on (p <= {ALPHA:g}); it looks at ranks alone, so that few blocks tell little."
        )
        parts.append(
            critical("Average ranks, with their critical difference", found, "average rank", joined, numbers, note)
        )
    return tuple(parts)


def block_parts(summary: Summary, block: Block, kinds: Mapping[str, str], noise: Sequence[Noise]) -> tuple[Part, ...]:
    """Return the table of a task under a condition, what is told apart in it, and its pictures."""
    size: Column[Row] = Column(
        "parameters", lambda r: "-" if r.parameters is None else f"{r.parameters:,.0f}", lambda r: r.parameters
    )
    parts: list[Part] = [table_of("Scores, differences and ranks", [*columns(summary, block.metric), size], block.rows)]
    parts += words(*block.notes, pair_summary(block))
    if lines := pair_lines(block):
        parts.append(Listing(tuple(lines)))
    parts += pictures(block, kinds, noise)
    names = block.comparison.methods if block.comparison.pairs else ()
    if names:
        cells: Rows = tuple((first, *(pair_cell(block, first, second) for second in names)) for first in names)
        matrix = Table(("", *names), cells, note="Marked * and shaded: told apart.")
        parts.append(Details("All pairs: row minus column", (matrix,)))
    if failures := failure_lines(block):
        parts.append(Details(f"Failed runs: {len(failures)}", (Listing(tuple(failures)),)))
    return tuple(parts)


def pictures(block: Block, kinds: Mapping[str, str], noise: Sequence[Noise]) -> list[Figure]:
    """Return scores by seed with what is not told apart, and how robust scores are to noise."""
    seeds = sorted({seed for row in block.rows for seed in row.seeds})
    by_seed = table_of(f"Scores by seed: {block.name}", [Column("method", label), *map(seed_column, seeds)], block.rows)
    scored = [row for row in block.rows if row.mean is not None and row.role in ("method", "control")]
    scored.sort(key=lambda row: -(row.mean or 0.0))
    found = [
        Ranked(row.name, kinds.get(row.name, "also6"), row.mean or 0.0,
               tuple((f"seed {seed}", score) for seed, score in zip(row.seeds, row.scores, strict=True)))
        for row in scored
    ]  # fmt: skip
    tested = block.comparison.critical is not None
    joined = together([row.name for row in scored], lambda a, b: told_apart(block, a, b)) if tested else []
    note = f"Circles: seeds; the upright mark: their mean. {JOINED if tested else 'Nothing was tested: too few seeds.'}"
    out = []
    if found:
        title = f"Scores by seed: {block.name}"
        out.append(critical(title, found, block.metric or "score", joined, by_seed, note, "Scores by seed"))
    if noise:
        lines = [Curve(each.method, kinds.get(each.method, "also6"), each.scales, each.mean, each.low, each.high)
                 for each in noise]  # fmt: skip
        said = "Means over the diagnosed runs of a method; bands: the lowest and the highest of them."
        out.append(
            curves(f"Robustness to noise on the weights: {block.name}", lines, NOISE, block.metric or "score", said)
        )
    return out


def told_apart(block: Block, first: str, second: str) -> bool:
    """Whether two methods are; those that were not compared are, for nothing joins them."""
    pair = block.comparison.find(first, second)
    return pair is None or pair.told_apart


def seed_column(seed: int) -> Column[Row]:
    """Return the column of one seed; several teachers of a seed share a cell."""

    def scores(row: Row) -> list[float]:
        return [score for of_seed, score in zip(row.seeds, row.scores, strict=True) if of_seed == seed]

    return Column(
        f"seed {seed}",
        lambda r: ", ".join(decimals(score) for score in scores(r)) or "-",
        lambda r: scores(r)[0] if scores(r) else None,
    )


def pair_cell(block: Block, first: str, second: str) -> Told:
    """Return the cell of a pair."""
    pair = block.comparison.find(first, second)
    if pair is None:
        return Told("")
    star = " *" if pair.told_apart else ""
    return Told(f"{signed(pair.difference)} (p {p_text(pair.p)}){star}", pair.difference, pair.told_apart)
