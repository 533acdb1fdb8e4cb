"""The README's picture: what each model of a demo's folder scores, and how long one row takes it.

python -m tools.demo_picture runs/demo
"""

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from crild.demo import RESULT
from tools.drawing import BLUE, GREY, RED, svg

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "demo.svg"
AREA = 4.0  # square points a megabyte
MODELS = {
    "teacher": ("teacher", GREY),
    "control": ("student without teacher", RED),
    "kd": ("student, plain KD", BLUE),
    "student": ("student, CR-ILD", BLUE),
    "served": ("served: int8 ONNX, trimmed", BLUE),
}


def picture(result: dict[str, Any]) -> str:
    """Return score against latency, with intervals; a circle's area is the size on disk.

    Args:
        result: ``result.json`` of a demo.
    """
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for place, (key, (name, colour)) in enumerate(MODELS.items()):
        model = result[key]
        beside = key not in ("teacher", "served")  # students stand beside one another, or bars cover bars
        x = model["latency_ms"] * (1 + 0.012 * (place - 2) * beside)
        low, high = model["interval"]
        axes.plot([x, x], [low, high], color=colour, lw=1.2)
        axes.scatter([x], [model["score"]], s=model["bytes"] / 1e6 * AREA, color=colour, alpha=0.5, lw=0)
        on_left = key == "teacher"
        axes.annotate(name, (x, model["score"]), (-14 if on_left else 14, 0), textcoords="offset points",
                      ha="right" if on_left else "left", va="center")  # fmt: skip
    axes.axhline(result["constant"]["score"], color=GREY, lw=0.8, ls=":")
    axes.text(0, result["constant"]["score"], " always the same answer", va="bottom", color=GREY, fontsize=8)
    axes.set(xlim=(0, 1.1 * result["teacher"]["latency_ms"]), xlabel="milliseconds a row, one at a time",
             ylabel=result["metric"], title="Score and latency; area: size on disk; bars: 95 % intervals")  # fmt: skip
    return svg(figure)


if __name__ == "__main__":
    found = json.loads((Path(sys.argv[1]) / RESULT).read_text(encoding="utf-8"))
    PICTURE.write_text(picture(found), encoding="utf-8")
    print(f"{PICTURE.name} in {PICTURE.parent}/")
