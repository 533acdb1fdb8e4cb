"""The README's picture of what serving costs: score against latency, size as the area, of every depth and runtime.

python -m tools.serving_picture [benchmarks/results/serving.json]
"""

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tools.drawing import BLUE, GREY, RED, svg

ROOT = Path(__file__).resolve().parents[1]
FIGURES, PICTURE = ROOT / "benchmarks" / "results" / "serving.json", ROOT / "docs" / "serving.svg"
CELL = "1x64"  # batch x tokens
AREA = 3.0  # square points a megabyte
SERIES = {  # by vocabulary and runtime: what is drawn, and how
    ("full", "PyTorch"): ("PyTorch fp32", GREY, True),
    ("full", "OpenVINO"): ("OpenVINO", RED, True),
    ("full", "ONNX int8"): ("ONNX int8, full vocabulary", BLUE, False),
    ("trimmed", "ONNX int8"): ("ONNX int8, trimmed vocabulary", BLUE, True),
}


def picture(result: dict[str, Any]) -> str:
    """Return a line for each runtime, from the static student over one layer to the teacher's depth.

    Args:
        result: of ``benchmarks/serving.py``.
    """
    batch, tokens = CELL.split("x")
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for (vocabulary, engine), (label, colour, filled) in SERIES.items():
        found = [
            (name, each)
            for name, each in result["models"].items()
            if (each["vocabulary"], each["engine"]) == (vocabulary, engine)
        ]
        found.sort(key=lambda each: each[1]["layers"])
        times = [result["cells"][CELL]["ms"][name] for name, _ in found]
        scores = [each["score"] for _, each in found]
        fill = {"color": colour, "alpha": 0.45, "lw": 0} if filled else {"facecolors": "none", "edgecolors": colour}
        if filled:
            axes.plot(times, scores, color=colour, lw=0.8, alpha=0.6)
        axes.scatter([], [], s=40, label=label, **fill)
        for (_, each), x, y in zip(found, times, scores, strict=True):
            axes.scatter([x], [y], s=each["bytes"] / 1e6 * AREA, **fill)
            if filled:
                words = str(each["layers"]) if each["layers"] else "static"
                axes.annotate(words, (x, y), ha="center", va="center", fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel=f"milliseconds, {tokens} tokens, batch {batch}, {result['machine']['threads']} threads",
             ylabel="accuracy", title="Score and latency by the number of layers; area: size on disk")  # fmt: skip
    axes.legend(frameon=False, loc="lower right")
    return svg(figure)


if __name__ == "__main__":
    figures = Path(sys.argv[1]) if len(sys.argv) > 1 else FIGURES
    PICTURE.write_text(picture(json.loads(figures.read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"{PICTURE.name} in {PICTURE.parent}/")
