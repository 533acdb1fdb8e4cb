"""The README's picture: what each model of a demo's folder scores, and how long one row takes it.

python -m tools.demo_picture runs/demo
"""

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tools.drawing import BLUE, GREY, RED, svg

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "demo.svg"
AREA = 4.0  # square points a megabyte


def picture(ours: dict[str, Any], plain: dict[str, Any]) -> str:
    """Return score against latency, with intervals; a circle's area is the size on disk.

    Args:
        ours, plain: ``result.json`` of the runs with CR-ILD and with plain KD.
    """
    student = ours["student"]
    control = {**ours["control"], "latency_ms": student["latency_ms"], "bytes": student["bytes"]}
    # Runs are timed apart: each student against the teacher beside it.
    pace = ours["teacher"]["latency_ms"] / plain["teacher"]["latency_ms"]
    kd = {**plain["student"], "latency_ms": plain["student"]["latency_ms"] * pace}
    models = [
        ("teacher", ours["teacher"], GREY),
        ("student without teacher", control, RED),
        ("student, plain KD", kd, BLUE),
        ("student, CR-ILD", student, BLUE),
    ]
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, model, colour) in enumerate(models):
        aside = 0.012 * (place - 2) if name != "teacher" else 0.0  # students beside one another, or bars cover bars
        x = model["latency_ms"] * (1 + aside)
        low, high = model["interval"]
        axes.plot([x, x], [low, high], color=colour, lw=1.2)
        axes.scatter([x], [model["score"]], s=model["bytes"] / 1e6 * AREA, color=colour, alpha=0.5, lw=0)
        on_left = name == "teacher"
        axes.annotate(name, (x, model["score"]), (-14 if on_left else 14, 0), textcoords="offset points",
                      ha="right" if on_left else "left", va="center")  # fmt: skip
    axes.axhline(ours["constant"]["score"], color=GREY, lw=0.8, ls=":")
    axes.text(0, ours["constant"]["score"], " always the same answer", va="bottom", color=GREY, fontsize=8)
    axes.set(xlim=(0, 1.1 * ours["teacher"]["latency_ms"]), xlabel="milliseconds a row, one at a time",
             ylabel=ours["metric"], title="Score and latency; area: size on disk; bars: 95 % intervals")  # fmt: skip
    return svg(figure)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = [json.loads((folder / name / "result.json").read_text(encoding="utf-8")) for name in ("cr-ild", "kd")]
    PICTURE.write_text(picture(*found), encoding="utf-8")
    print(f"{PICTURE.name} in {PICTURE.parent}/")
