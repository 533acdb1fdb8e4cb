"""Figures of models and runs: plain numbers in, a picture with its table out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from crild.reporting.page import Figure, Rows, Table
from crild.reporting.svg import (
    BOTTOM,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Frame,
    axis_of,
    band,
    box,
    circle,
    cut,
    line,
    matrix,
    number,
    picture,
    segment,
    short,
    text,
)

AREA = 34.0  # square pixels a megabyte
LEAST, MOST = 4.0, 34.0  # radius of a circle, pixels
BAR, BESIDE = 15, 6  # pixels: height of a bar, and between groups
LINE, JOIN = 22, 9  # pixels: of a method, and of a bar that joins several
MOST_LABELS = 30  # with bars; more are in the table


@dataclass(frozen=True)
class Curve:
    """A line of a figure.

    Attributes:
        name: in the legend.
        kind: class of its colour and dashes.
        x, y: of its points; what is no number is left out.
        low, high: of a band about it.
    """

    name: str
    kind: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


def curves(
    title: str,
    found: Sequence[Curve],
    x: str,
    y: str,
    note: str = "",
    more: Mapping[str, Sequence[float | None]] | None = None,
) -> Figure:
    """Return lines.

    Args:
        title: of the figure.
        found: the lines.
        x, y: what the numbers are.
        note: below it.
        more: further columns of the table, by the first line's places.
    """
    heights = [values for each in found for values in (each.y, each.low or (), each.high or ())]
    frame = Frame(
        axis_of([value for each in found for value in each.x], x, pad=0.03),
        axis_of([value for values in heights for value in values if value is not None], y),
    )
    parts = [frame.grid]
    for each in found:
        if each.low is not None and each.high is not None:
            ends = zip(each.x, each.low, each.high, strict=True)
            parts.append(band(frame, [(a, nan(b), nan(c)) for a, b, c in ends], each.kind))
    parts += [line(frame, [(a, nan(b)) for a, b in zip(each.x, each.y, strict=True)], each.kind, each.name)
              for each in found]  # fmt: skip
    every = list(dict.fromkeys(value for each in found for value in each.x))
    by_place = [dict(zip(each.x, each.y, strict=True)) for each in found]
    by_place += [dict(zip(found[0].x, values, strict=True)) for values in (more or {}).values()]
    rows: Rows = tuple((value, *(points.get(value) for points in by_place)) for value in sorted(every))
    return Figure(
        title,
        picture(parts, f"{title}: {y} by {x}; the numbers are in the table below"),
        Table((x, *(each.name for each in found), *(more or {})), rows, title),
        tuple((each.kind, each.name) for each in found),
        note,
    )


def nan(value: float | None) -> float:
    """Return a number, one that is none for ``None``."""
    return math.nan if value is None else value


@dataclass(frozen=True)
class Costed:
    """A model by score and cost.

    Attributes:
        name, kind: of it.
        score, low, high: with its interval.
        latency_ms: of one row.
        bytes: on disk.
    """

    name: str
    kind: str
    score: float
    low: float
    high: float
    latency_ms: float
    bytes: float | None


def score_and_latency(models: Sequence[Costed], metric: str, note: str = "") -> Figure:
    """Return score against latency, with intervals; the area of a circle is the size on disk."""
    frame = Frame(
        axis_of([each.latency_ms for each in models], "milliseconds for one row", zero=True, pad=0.12),
        axis_of([value for each in models for value in (each.low, each.high)], metric),
    )
    parts = [frame.grid]
    for place, each in enumerate(sorted(models, key=lambda each: -(each.bytes or 0))):
        beside = 4.0 * (place - (len(models) - 1) / 2)  # or intervals of one latency cover one another
        x, y = frame.at(each.latency_ms, each.score)
        low, high = (frame.at(each.latency_ms, value)[1] for value in (each.low, each.high))
        radius = min(MOST, max(LEAST, math.sqrt(AREA * (each.bytes or 0) / 1e6 / math.pi)))
        size = f", {each.bytes / 1e6:.1f} MB" if each.bytes else ""
        says = (
            f"{each.name}: {each.score:.4f} ({each.low:.4f} to {each.high:.4f}), {each.latency_ms:.2f} ms a row{size}"
        )
        parts += [segment(x + beside, low, x + beside, high, f"whisker {each.kind}")]
        parts += [circle(x + beside, y, radius, f"area {each.kind}", says)]
    rows = tuple(
        (each.name, each.score, each.low, each.high, each.latency_ms, each.bytes and each.bytes / 1e6)
        for each in models
    )
    title = "Score and latency; a circle's area is the size on disk"
    return Figure(
        title,
        picture(parts, f"{title}; the numbers are in the table below"),
        Table(("model", metric, "low", "high", "ms a row", "MB"), rows, title),
        tuple((each.kind, each.name) for each in models),
        note,
    )


def confusion(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]], kind: str) -> Figure:
    """Return rows by label (down) and answer (across); colours are shares of a label's rows."""
    totals = [sum(each) for each in counts]
    shares = [[n / total if total else None for n in each] for each, total in zip(counts, totals, strict=True)]
    says = [
        [
            f"label {labels[i]}, answer {labels[j]}: {n} of {totals[i]} rows" + (f" ({n / totals[i]:.1%})" if n else "")
            for j, n in enumerate(each)
        ]
        for i, each in enumerate(counts)
    ]
    shown = [[str(n) for n in each] for each in counts]
    svg = matrix(shares, labels, labels, f"{title}: rows by label and answer; the numbers are in the table below",
                 says, shown, kind, "answer", "label")  # fmt: skip
    rows: Rows = tuple((name, *each) for name, each in zip(labels, counts, strict=True))
    return Figure(title, svg, Table(("label \\ answer", *labels), rows, title), note="Colour: share of a label's rows.")


def heat(
    title: str,
    values: Sequence[Sequence[float | None]],
    across: str,
    down: str,
    kind: str,
    span: tuple[float, float] | None = None,
    places: Sequence[float] | None = None,
    note: str = "",
) -> Figure:
    """Return numbers as coloured cells.

    Args:
        title: of the figure.
        values: the numbers; ``None`` for one that is none.
        across, down: what columns and lines are.
        kind: class of the colour.
        span: numbers without colour and with all of it; the least and the largest without.
        places: of lines and columns alike; they are counted from 0 without.
        note: below it.
    """
    lines, columns = ([short(at) for at in places or range(n)] for n in (len(values), len(values[0])))
    known = [value for each in values for value in each if value is not None]
    low, high = span or (min(known, default=0.0), max(known, default=1.0))
    shades = [[None if value is None else (value - low) / ((high - low) or 1.0) for value in each] for each in values]
    says = [
        [f"{down} {line_name}, {across} {column}: {number(value)}" for column, value in zip(columns, each, strict=True)]
        for line_name, each in zip(lines, values, strict=True)
    ]
    shown = [["" if value is None else f"{value:.2f}" for value in each] for each in values]
    label = f"{title}; the numbers are in the table below"
    svg = matrix(shades, lines, columns, label, says, shown, kind, across, down)
    rows = tuple((name, *each) for name, each in zip(lines, values, strict=True))
    return Figure(title, svg, Table((f"{down} \\ {across}", *columns), rows, title), note=note)


def dots(title: str, points: Sequence[tuple[float, float]], x: str, y: str, kind: str, note: str = "") -> Figure:
    """Return points, with a line where y is 0."""
    frame = Frame(axis_of([a for a, _ in points], x), axis_of([0.0, *(b for _, b in points)], y, pad=0.08))
    parts = [frame.grid, segment(*frame.at(frame.x.low, 0), *frame.at(frame.x.high, 0), "rule")]
    parts += [circle(*frame.at(a, b), 3, f"area {kind}", f"{x} {number(a)}, {y} {number(b)}") for a, b in points]
    return Figure(
        title,
        picture(parts, f"{title}: {y} by {x}; the numbers are in the table below"),
        Table((x, y), tuple(points), title),
        note=note,
    )


@dataclass(frozen=True)
class Reliable:
    """A reliability curve.

    Attributes:
        name, kind: of the model.
        confidence, accuracy, rows: of each bin.
    """

    name: str
    kind: str
    confidence: Sequence[float]
    accuracy: Sequence[float]
    rows: Sequence[int]


def reliability_curves(title: str, found: Sequence[Reliable], note: str = "") -> Figure:
    """Return accuracy by confidence; a circle's area is the share of rows, and the dashed line is what ought to be."""
    tenths = tuple(i / 5 for i in range(6))
    frame = Frame(Axis(0.0, 1.0, "confidence", tenths), Axis(0.0, 1.0, "share of right answers", tenths))
    parts = [frame.grid, segment(*frame.at(0, 0), *frame.at(1, 1), "rule")]
    for each in found:
        pixels = [frame.at(a, b) for a, b in zip(each.confidence, each.accuracy, strict=True)]
        parts.append(
            Markup('<polyline class="line {}" points="{}"/>').format(each.kind, " ".join(f"{x},{y}" for x, y in pixels))
        )
        for pixel, a, b, n in zip(pixels, each.confidence, each.accuracy, each.rows, strict=True):
            radius = 3 + 9 * math.sqrt(n / sum(each.rows))
            parts.append(
                circle(*pixel, radius, f"area {each.kind}", f"{each.name}: {n} rows, confidence {a:.3f}, right {b:.3f}")
            )
    rows: Rows = tuple(
        (each.name, a, b, n)
        for each in found
        for a, b, n in zip(each.confidence, each.accuracy, each.rows, strict=True)
    )
    return Figure(
        title,
        picture(parts, f"{title}: share of right answers by confidence; the numbers are in the table below"),
        Table(("model", "confidence", "right", "rows"), rows, title),
        tuple((each.kind, each.name) for each in found),
        note,
    )


def bars(
    title: str, values: Mapping[str, Mapping[str, float]], kinds: Mapping[str, str], label: str, note: str = ""
) -> Figure:
    """Return a group of bars for each name.

    Args:
        title: of the figure.
        values: by name (a line), then by series.
        kinds: class of each series.
        label: what the numbers are.
        note: below it.
    """
    shown = list(values)[:MOST_LABELS]
    axis = axis_of([v for each in values.values() for v in each.values()], label, zero=True, pad=0.04)
    step = BAR * len(kinds) + BESIDE
    height = 12 + step * len(shown) + 46
    frame = Frame(axis, Axis(0.0, 1.0, "", ()), height=height, left=104)
    parts = [frame.grid]
    start = frame.at(0.0, 0.0)[0]
    for place, name in enumerate(shown):
        top = 12 + step * place + BESIDE / 2
        parts.append(text(frame.left - 6, top + BAR * len(kinds) / 2 + 4, cut(name),
                          "end"))  # fmt: skip
        for row, (series, kind) in enumerate(kinds.items()):
            if series not in values[name]:
                continue
            value = values[name][series]
            end = frame.at(value, 0.0)[0]
            says = f"{name}, {series}: {number(value)}"
            parts.append(box(min(start, end), top + BAR * row + 1, abs(end - start), BAR - 2, f"bar {kind}", says))
            inside = end > WIDTH - 60  # no place beside it
            at = end - 4 if inside else max(start, end) + 4
            kind = "strong" if inside else ""
            parts.append(text(at, top + BAR * row + 11, short(round(value, 3)), "end" if inside else "start", kind))
    rows = tuple((name, *(each.get(series) for series in kinds)) for name, each in values.items())
    return Figure(
        title,
        picture(parts, f"{title}: {label}; the numbers are in the table below", height=height),
        Table(("", *kinds), rows, title),
        tuple((kind, series) for series, kind in kinds.items()) if len(kinds) > 1 else (),
        note,
    )


@dataclass(frozen=True)
class Ranked:
    """A method among others.

    Attributes:
        name, kind: of it.
        mean: that it is ranked by.
        values: of its runs, by what they are called.
    """

    name: str
    kind: str
    mean: float
    values: tuple[tuple[str, float], ...] = ()


def critical(
    title: str, found: Sequence[Ranked], label: str, together: Sequence[tuple[int, int]], table: Table, note: str = "",
    shows: str = "The numbers",
) -> Figure:  # fmt: skip
    """Return methods by mean, each a line, with the values of their runs; bars on the right join those not told apart.

    Source: Demsar 2006, figure 1, turned so that long names fit.

    Args:
        title: of the figure.
        found: the methods, the best first.
        label: what the numbers are.
        together: first and last place of methods of which none are told apart.
        table: the numbers.
        note: below it.
        shows: see `Figure`.
    """
    height, right = TOP + LINE * len(found) + BOTTOM, RIGHT + JOIN * len(together)
    axis = axis_of([value for each in found for value in (each.mean, *(v for _, v in each.values))], label)
    frame = Frame(axis, Axis(0.0, 1.0, "", ()), height=height, left=112, right=right)
    parts = [frame.grid]
    for place, each in enumerate(found):
        y = TOP + LINE * (place + 0.5)
        parts.append(text(frame.left - 6, y + 4, cut(each.name), "end"))
        for name, value in each.values:
            says = f"{each.name}, {name}: {number(value)}"
            parts.append(circle(frame.at(value, 0)[0], y, 3.5, f"area {each.kind}", says))
        x = frame.at(each.mean, 0)[0]
        parts.append(
            box(x - 1.5, y - LINE / 3, 3, 2 * LINE / 3, f"bar {each.kind}", f"{each.name}: {number(each.mean)}")
        )
    for place, (first, last) in enumerate(together):
        x = WIDTH - right + JOIN * (place + 1)
        says = f"not told apart: {', '.join(each.name for each in found[first : last + 1])}"
        parts.append(box(x - 2, TOP + LINE * first + 4, 4, LINE * (last - first + 1) - 8, "bar join", says))
    svg = picture(parts, f"{title}: {label} of each method; the numbers are in the table below", height=height)
    return Figure(title, svg, table, note=note, shows=shows)
