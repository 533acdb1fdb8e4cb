"""The plots of the results pages."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from crild.grid.table import Block, Summary, mean
from tools.drawing import BLUE, COLOURS, GREY, RED

WIDE, NAMES = 8.0, 2.5  # inches: a drawing, and the methods' names in it
LINE, HEAD, FOOT = 0.21, 0.5, 0.4  # inches: a method's line, and what is above and below a panel's lines
TALL = 2.0  # inches: a panel of curves


def dots(summary: Summary) -> Figure:
    """Return a plot of every score: a panel for each block, a line for each method, the teacher as a vertical line."""
    blocks = [block for block in summary.blocks if any(row.scores for row in block.rows)]
    heights = [LINE * len(students(block)) for block in blocks]
    total = sum(heights) + (HEAD + FOOT) * len(blocks)
    figure, top = Figure(figsize=(WIDE, total)), total
    for block, height in zip(blocks, heights, strict=True):
        place = (NAMES / WIDE, (top - HEAD - height) / total, (WIDE - NAMES - 0.3) / WIDE, height / total)
        dot_panel(figure.add_axes(place), block, summary.baseline)
        top -= HEAD + height + FOOT
    return figure


def students(block: Block) -> list[Any]:
    """Return the rows of a block that have dots."""
    return [row for row in block.rows if row.role != "teacher" and row.scores]


def dot_panel(axes: Axes, block: Block, baseline: str) -> None:
    """Draw one block; the method that others are compared with is red."""
    rows = students(block)
    for place, row in enumerate(rows):
        colour = RED if row.name == baseline else BLUE
        axes.plot(row.scores, [place] * len(row.scores), "o", ms=5, mew=0, color=colour, alpha=0.45)
        axes.plot([mean(row.scores)] * 2, [place - 0.38, place + 0.38], color=colour, lw=2)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.locator_params(axis="x", nbins=7)
    teacher = next(row.mean for row in block.rows if row.role == "teacher")
    if teacher is not None:
        axes.axvline(teacher, color="#222", ls="--", lw=1)
        axes.annotate("teacher", (teacher, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
                      ha="center", va="bottom", size=8)  # fmt: skip
    axes.set_title(f"{block.name} ({block.metric}); one dot a seed, the bar their mean", x=-0.45, y=1, pad=13)


def curves(series: list[dict[str, Any]]) -> Figure:
    """Return plots of training (thin) and held-out loss (thick) by epoch: a panel for each task and stage."""
    panels = sorted({(s["task"], s["stage"]) for s in series}, key=lambda panel: (panel[0], panel[1] == "kd"))
    colours = dict(zip(sorted({s["method"] for s in series}), COLOURS, strict=False))
    lines = (len(panels) + 1) // 2
    figure = Figure(figsize=(WIDE, TALL * lines + 0.3), layout="constrained")
    grid = figure.subplots(lines, 2, squeeze=False)
    for axes, (task, stage) in zip(grid.flat, panels, strict=False):
        inside = [s for s in series if (s["task"], s["stage"]) == (task, stage)]
        curve_panel(axes, inside, colours)
        axes.set_title(
            f"{task}, " + ("stage 1: ILD loss (attention + hidden)" if stage == "ild" else "stage 2: KD loss")
        )
    for axes in list(grid.flat)[len(panels) :]:
        axes.remove()
    keys = [Line2D([], [], color=colour, lw=2.2, label=method) for method, colour in colours.items()]
    keys += [Line2D([], [], color=GREY, lw=width, label=what) for what, width in (("training", 0.9), ("held-out", 2.2))]
    figure.legend(handles=keys, loc="outside upper left", ncols=len(keys), frameon=False, fontsize=8)
    return figure


def curve_panel(axes: Axes, series: list[dict[str, Any]], colours: dict[str, str]) -> None:
    """Draw the methods of one task and stage; the first point, before any training, is left out."""
    for each in series:
        colour, points = colours[each["method"]], each["points"]
        epochs = range(1, len(points))
        axes.plot(epochs, [p["train"] for p in points[1:]], color=colour, lw=0.9)
        axes.plot(epochs, [p["held_out"] for p in points[1:]], color=colour, lw=2.2)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("epoch", color=GREY, loc="right", labelpad=0)
