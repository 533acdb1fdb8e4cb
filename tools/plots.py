"""The plots of the results page as SVG: a function of the numbers alone, so the same numbers give the same bytes."""

import math
from html import escape
from typing import Any

from crild.grid.table import Block, Summary, mean

WIDE, NAMES, LINE, TOP, TALL = 760, 230, 18, 26, 190
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#8a6d3b", "#6a4c93", "#444444")


def dots(summary: Summary) -> str:
    """Return a plot of every score: a panel for each block, a line for each method, the teacher as a vertical line."""
    parts, y = [], 4.0
    for block in summary.blocks:
        panel, height = dot_panel(block, y, summary.baseline)
        parts += panel
        y += height + 12
    return svg(WIDE, y, parts)


def dot_panel(block: Block, y: float, reference: str) -> tuple[list[str], float]:
    """Return the shapes of one panel and its height."""
    rows = [r for r in block.rows if r.role != "teacher" and r.scores]
    teacher = next(r.mean for r in block.rows if r.role == "teacher")
    values = [s for r in rows for s in r.scores] + ([teacher] if teacher is not None else [])
    if not values:
        return [], 0.0
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or 0.01
    low, high = low - pad, high + pad

    def x(value: float) -> float:
        return NAMES + (WIDE - NAMES - 12) * (value - low) / (high - low)

    bottom = y + TOP + LINE * len(rows)
    out = [label(4, y + 12, f"{block.name} ({block.metric}); one dot a seed, the bar their mean", bold=True)]
    step = tick_step(low, high)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        at = x(number * step)
        out.append(line(at, y + TOP - 6, at, bottom, "#e4e4e4"))
        out.append(label(at, bottom + 12, f"{number * step:.{3 if step < 0.01 else 2}f}", anchor="middle"))
    if teacher is not None:
        out.append(line(x(teacher), y + TOP - 6, x(teacher), bottom, "#222", dash=True))
        side = "end" if x(teacher) > WIDE - 60 else "middle"
        out.append(label(x(teacher), y + TOP - 8, "teacher", anchor=side))
    for number, each in enumerate(rows):
        middle = y + TOP + LINE * (number + 0.5)
        colour = COLOURS[1] if each.name == reference else COLOURS[0]
        out.append(label(NAMES - 8, middle + 4, each.name, anchor="end"))
        style = f'r="3" fill="{colour}" fill-opacity="0.45"'
        out += [f'<circle cx="{x(score):.1f}" cy="{middle:.1f}" {style}/>' for score in each.scores]
        out.append(line(x(mean(each.scores)), middle - 7, x(mean(each.scores)), middle + 7, colour, wide=True))
    return out, TOP + LINE * len(rows) + 14


def curves(series: list[dict[str, Any]]) -> str:
    """Return plots of training (thin) and held-out loss (thick) by epoch: a panel for each task and stage."""
    panels = sorted({(s["task"], s["stage"]) for s in series}, key=lambda panel: (panel[0], panel[1] == "kd"))
    methods = sorted({s["method"] for s in series})
    parts: list[str] = []
    for number, panel in enumerate(panels):
        inside = {s["method"]: s["points"] for s in series if (s["task"], s["stage"]) == panel}
        coloured = [(m, COLOURS[place], inside[m]) for place, m in enumerate(methods) if m in inside]
        parts += curve_panel(*panel, coloured, WIDE / 2 * (number % 2), (TALL + 36) * (number // 2))
    return svg(WIDE, (len(panels) + 1) // 2 * (TALL + 36), parts)


def curve_panel(
    task: str, stage: str, series: list[tuple[str, str, list[dict[str, Any]]]], left: float, top: float
) -> list[str]:
    """Return the shapes of one panel; the first point, before any training, is left out.

    Args:
        task, stage: of the panel.
        series: (method, colour, points).
        left, top: the panel's corner.
    """
    high = max(p[key] for _, _, points in series for p in points[1:] for key in ("train", "held_out")) * 1.05
    last, right = max(len(points) for _, _, points in series) - 1, left + WIDE / 2 - 20

    def x(epoch: float) -> float:
        return left + 40 + (right - left - 40) * epoch / last

    def y(value: float) -> float:
        return top + 24 + (TALL - 30) * (1 - value / high)

    title = "stage 1: ILD loss (attention + hidden)" if stage == "ild" else "stage 2: KD loss"
    out = [label(left + 4, top + 14, f"{task}, {title}", bold=True)]
    out += [label(left + 36, y(value) + 4, f"{value:.2f}", anchor="end") for value in (0.0, high / 2, high)]
    out.append(label(right, top + TALL + 10, f"epoch {last}", anchor="end"))
    for place, (method, colour, points) in enumerate(series):
        for key, width in (("train", 1), ("held_out", 2.5)):
            values = enumerate(p[key] for p in points)
            drawn = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in values if epoch)
            out.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        out.append(label(right, top + 30 + 13 * place, method, anchor="end", colour=colour))
    return out


def tick_step(low: float, high: float) -> float:
    """Return a round step that cuts a range into some four parts."""
    return next(step for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if (high - low) / step <= 7)


def svg(width: float, height: float, parts: list[str]) -> str:
    """Return a whole drawing."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    return f'{head} font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n' + (
        "\n".join(parts) + "\n</svg>\n"
    )


def label(x: float, y: float, text: str, anchor: str = "start", bold: bool = False, colour: str = "#222") -> str:
    """Return a text; what comes from data is escaped."""
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: bool = False, wide: bool = False) -> str:
    """Return a line."""
    more = ' stroke-dasharray="4 3"' if dash else ' stroke-width="2.5"' if wide else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'
