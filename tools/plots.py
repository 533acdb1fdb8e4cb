"""The plot of the results page."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from tools.drawing import BLUE, GREY, RED

MARKERS = "osD^v<>PXph*"  # methods differ by shape, so that a print in grey tells them apart


@dataclass(frozen=True)
class Point:
    """A method in the plot.

    Attributes:
        name: of the method.
        minutes: of a run.
        kept: share of the teacher's score.
        interval: of ``kept``; ``None`` where there is none.
    """

    name: str
    minutes: float
    kept: float
    interval: tuple[float, float] | None


def kept_against_cost(found: Sequence[Point], baseline: str, controls: Sequence[str]) -> Figure:
    """Return a plot of the share kept of the teacher's score against a run's minutes, one point a method.

    Args:
        found: the points, in the order of the legend.
        baseline: the method drawn in red.
        controls: the students without a teacher, in grey.
    """
    figure = Figure(figsize=(8.0, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, each in enumerate(found):
        colour = RED if each.name == baseline else GREY if each.name in controls else BLUE
        low, high = each.interval or (each.kept, each.kept)
        axes.plot([each.minutes] * 2, [100 * low, 100 * high], color=colour, lw=1, alpha=0.6)
        axes.plot(
            [each.minutes], [100 * each.kept], MARKERS[place % len(MARKERS)], ms=7, mew=0, color=colour,
            label=f"{each.name}, {100 * each.kept:.1f} %",
        )  # fmt: skip
    axes.axhline(100, color="#222", ls="--", lw=1)
    axes.annotate("teacher", (1, 100), (0, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                  ha="right", va="bottom", size=8)  # fmt: skip
    axes.set_xlim(left=0)
    axes.grid()
    axes.set_xlabel("minutes of a run")
    axes.set_ylabel("% kept of the teacher's score")
    axes.set_title("Score kept against cost: means over tasks, bars their 95 % intervals over seeds")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure
