"""Drawings as SVG: the same figure gives the same bytes."""

import io

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

BLUE, RED, GREY = "#1b6ca8", "#d1495b", "#8a8a8a"
COLOURS = (BLUE, RED, "#2e8b57", "#8a6d3b", "#6a4c93", "#444444")

plt.rcParams.update(
    {
        "svg.hashsalt": "crild",  # or every run has other ids
        "svg.fonttype": "none",  # texts stay texts: small files, and a search finds them
        "text.parse_math": False,  # a task may be called $
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
    }
)


def svg(figure: Figure) -> str:
    """Return a figure as SVG, and close it."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
