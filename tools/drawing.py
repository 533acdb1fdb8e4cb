"""Drawings as SVG: the same figure gives the same bytes."""

import io

import matplotlib
from matplotlib.figure import Figure

BLUE, RED, GREY, PALE = "#1b6ca8", "#d1495b", "#8a8a8a", "#e4e4e4"

matplotlib.rcParams.update(
    {
        "svg.hashsalt": "crild",  # or every drawing has other ids
        "svg.fonttype": "none",  # texts stay texts: small files, and a search finds them
        "text.parse_math": False,  # a $ in a task's name is a $
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.axisbelow": True,
        "grid.color": PALE,
        "xtick.color": "#444",
    }
)


def svg(figure: Figure) -> str:
    """Return a figure as SVG, without the date and the version that it was made with."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
