"""Write docs/overfitting.md and its pictures from benchmarks/results/overfitting.json.

python -m tools.overfitting
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crild.diagnostics.noise import SHOWN
from tools.claims import decide
from tools.drawing import BLUE, GREY, RED, svg

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "benchmarks" / "results" / "overfitting.json"
DOCS = ROOT / "docs"
PAGE, CURVES, SURFACES = DOCS / "overfitting.md", DOCS / "overfitting.svg", DOCS / "overfitting-surface.svg"
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    keep_trailing_newline=True,
)  # fmt: skip
COLOURS = {"u-ild": RED, "l-ild": GREY, "cr-ild": BLUE, "kd": "#222222"}
Student = dict[str, Any]


@dataclass(frozen=True)
class Sign:
    """One way to see overfitting: the larger, the more.

    Attributes:
        name: of its column.
        of: returns it of a student.
        digits: after the point.
        what: it is, in words.
    """

    name: str
    of: Callable[[Student], float]
    digits: int
    what: str


def fall(student: Student) -> float:
    """Return how many points of the score on held-out rows noise takes away."""
    scores, place = student["noise"]["held_out"]["score"]["mean"], student["noise"]["scales"].index(SHOWN)
    return 100 * float(scores[0] - scores[place])


def more_to_the_teacher(student: Student) -> float:
    """Return how many per cent the loss to the teacher is higher on held-out rows."""
    of = student["fit"]["ild"]
    return 100 * float(of["held_out"] / of["train"] - 1)


SIGNS = (
    Sign("score gap", lambda one: 100 * float(one["fit"]["score"]["gap"]), 1,
         "points that the score is higher on training rows than on held-out rows"),
    Sign("loss gap", lambda one: float(one["fit"]["loss"]["gap"]), 3,
         "what the task's loss is higher on held-out rows"),
    Sign("to the teacher, %", more_to_the_teacher, 1,
         "per cent that the loss to the teacher is higher on held-out rows; what is matched differs by method "
         "(`kd` matches no layer: there it is that of the last hidden states)"),
    Sign("lost by noise", fall, 1,
         f"points of the score on held-out rows that noise takes, {SHOWN:g} times as long as each tensor of weights"),
    Sign("curvature", lambda one: math.log10(one["curvature"]), 2,
         "log10 of the largest eigenvalue of the Hessian of the task's loss on training rows"),
)  # fmt: skip
CLAIMED = (("u-ild", "l-ild"), ("u-ild", "cr-ild"), ("l-ild", "cr-ild"), ("kd", "cr-ild"))
"""Of each pair the first is said to overfit more."""


def values(found: Sequence[Student], sign: Sign, task: str, method: str) -> dict[int, float]:
    """Return a sign of a method's students on a task by seed; none where it is no number."""
    mine = (one for one in found if (one["task"], one["method"]) == (task, method))
    out = {}
    for one in mine:
        try:
            out[one["seed"]] = sign.of(one)
        except (KeyError, TypeError, ValueError):  # a loss overflowed, or Lanczos found nothing
            continue
    return out


def verdict(found: Sequence[Student], sign: Sign, more: str, less: str) -> tuple[str, float, int] | None:
    """Return the word, the mean difference and the number of seeds: paired by seed, averaged over tasks.

    ``None``: no task has both. A task with fewer paired seeds than the other is left out.
    """
    pairs = []
    for task in tasks(found):
        first, second = values(found, sign, task, more), values(found, sign, task, less)
        pairs.append({seed: first[seed] - second[seed] for seed in first if seed in second})
    fullest = max(map(len, pairs), default=0)
    if not fullest:
        return None
    counted = [each for each in pairs if len(each) == fullest]
    seeds = sorted(set.intersection(*map(set, counted)))
    averages = [float(np.mean([each[seed] for each in counted])) for seed in seeds]
    word, _ = decide(averages, 0.0)
    return word, float(np.mean(averages)), len(seeds)


def tasks(found: Sequence[Student]) -> list[str]:
    """Return the tasks, in order."""
    return sorted({one["task"] for one in found})


def methods(found: Sequence[Student]) -> list[str]:
    """Return the methods, as the pictures colour them."""
    return [name for name in COLOURS if any(one["method"] == name for one in found)]


def spread(numbers: Sequence[float], digits: int) -> str:
    """Return a mean and, of several, the standard deviation."""
    if not numbers:
        return "-"
    text = f"{np.mean(numbers):.{digits}f}"
    return f"{text} ± {stdev(numbers):.{digits}f}" if len(numbers) > 1 else text


# ---- the page ----


def page(found: Sequence[Student], rows: int) -> str:
    """Return the page.

    Args:
        found: of `benchmarks.overfitting`.
        rows: of each split that were looked at.
    """
    return TEMPLATES.get_template("overfitting.md.j2").render(
        claimed=CLAIMED,
        signs=SIGNS,
        sentence=lambda more, less: sentence(found, more, less),
        held=held(found),
        lines=[line for task in tasks(found) for method in methods(found) if (line := line_of(found, task, method))],
        verdicts=[
            [f"`{more}`", f"`{less}`", *(told(found, sign, more, less) for sign in SIGNS)] for more, less in CLAIMED
        ],
        seed=min((one["seed"] for one in found), default=0),
        rows=rows,
    )


def line_of(found: Sequence[Student], task: str, method: str) -> list[str]:
    """Return the cells of a method on a task; none where it has not run."""
    scores = [one["score"] for one in found if (one["task"], one["method"]) == (task, method)]
    if not scores:
        return []
    cells = [spread(list(values(found, sign, task, method).values()), sign.digits) for sign in SIGNS]
    return [task, f"`{method}`", str(len(scores)), spread(scores, 4), *cells]


def told(found: Sequence[Student], sign: Sign, more: str, less: str) -> str:
    """Return a difference and its verdict; a dash where there is none."""
    said = verdict(found, sign, more, less)
    return "-" if said is None else f"{said[1]:+.{sign.digits}f}: {said[0]}"


def sentence(found: Sequence[Student], more: str, less: str) -> str:
    """Return what the signs say of one pair of methods."""
    said: dict[str, list[str]] = {}
    for sign in SIGNS:
        judged = verdict(found, sign, more, less)
        said.setdefault(judged[0] if judged else "not run yet", []).append(sign.name)
    return f"- **`{more}` overfits more than `{less}`**: " + "; ".join(
        f"{word} by {', '.join(names)}" for word, names in said.items()
    )


def held(found: Sequence[Student]) -> int:
    """Return how many signs tell the methods apart as the claim says."""
    return sum(
        (said := verdict(found, sign, more, less)) is not None and said[0] == "holds"
        for more, less in CLAIMED
        for sign in SIGNS
    )


# ---- the pictures ----


def curves(found: Sequence[Student]) -> Figure:
    """Return, a task a row, score under noise with the range of seeds, and the loss to the teacher on both splits."""
    rows = tasks(found)
    figure = Figure(figsize=(8.4, 2.9 * len(rows)), layout="constrained")
    for place, task in enumerate(rows):
        noise, fit = figure.add_subplot(len(rows), 2, 2 * place + 1), figure.add_subplot(len(rows), 2, 2 * place + 2)
        for at, method in enumerate(methods(found)):
            mine = [one for one in found if (one["task"], one["method"]) == (task, method)]
            if mine:
                draw_noise(noise, mine, method)
                draw_gap(fit, mine, at, method)
        noise.set(title=f"{task}: held-out score under noise", xlabel="noise, share of each tensor's length",
                  ylabel=found[0]["metric"] if len(rows) == 1 else "score")  # fmt: skip
        noise.grid(axis="y")
        fit.set(title=f"{task}: task loss, training (o), held out (x)", ylabel="loss")
        fit.set_xticks(range(len(methods(found))), methods(found))
        fit.grid(axis="y")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def draw_noise(axes: Axes, mine: Sequence[Student], method: str) -> None:
    """Draw the mean over seeds and their range."""
    scores = np.array([one["noise"]["held_out"]["score"]["mean"] for one in mine], dtype=float)
    scales = mine[0]["noise"]["scales"]
    axes.plot(scales, scores.mean(0), color=COLOURS[method], label=method)
    axes.fill_between(scales, scores.min(0), scores.max(0), color=COLOURS[method], alpha=0.12, lw=0)


def draw_gap(axes: Axes, mine: Sequence[Student], at: int, method: str) -> None:
    """Draw each seed's loss on both splits, joined by a line."""
    for place, one in enumerate(mine):
        x = at + 0.12 * (place - (len(mine) - 1) / 2)
        both = [one["fit"]["loss"][split] for split in ("train", "held_out")]
        axes.plot([x, x], both, color=COLOURS[method], lw=1)
        axes.plot([x], both[:1], "o", color=COLOURS[method], ms=4)
        axes.plot([x], both[1:], "x", color=COLOURS[method], ms=5)


def surfaces(found: Sequence[Student]) -> Figure:
    """Return contours of the first seed's losses on training rows: a task and a loss a row, a method a column."""
    rows = [(task, loss) for task in tasks(found) for loss in ("task", "ild")]
    columns = methods(found)
    figure = Figure(figsize=(2.1 * len(columns), 1.9 * len(rows)), layout="constrained")
    seed = min(one["seed"] for one in found)
    for down, (task, loss) in enumerate(rows):
        for across, method in enumerate(columns):
            one = next((x for x in found if (x["task"], x["method"], x["seed"]) == (task, method, seed)), None)
            if one is None or loss not in one["surface"]["plane"]["train"]:
                continue
            axes = figure.add_subplot(len(rows), len(columns), down * len(columns) + across + 1)
            heights = np.log2(np.maximum(np.array(one["surface"]["plane"]["train"][loss], dtype=float), 1e-12))
            side = one["surface"]["plane_at"]
            levels = np.arange(np.floor(2 * np.nanmin(heights)) / 2, np.nanmax(heights) + 0.5, 0.5)
            axes.contour(side, side, heights, levels=levels, colors=COLOURS[method], linewidths=0.6, linestyles="-")
            axes.plot([0], [0], ".", color="#222222")
            axes.set_aspect("equal")
            axes.set(
                xticks=[],
                yticks=[],
                title=f"{method}, {task}\n{'loss to the teacher' if loss == 'ild' else 'task loss'}",
            )
    return figure


def write() -> None:
    """Write the page and its pictures."""
    held_figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    found = held_figures["students"]
    PAGE.write_text(page(found, held_figures["rows"]), encoding="utf-8")
    CURVES.write_text(svg(curves(found)), encoding="utf-8")
    SURFACES.write_text(svg(surfaces(found)), encoding="utf-8")
    print(f"{PAGE.name}, {CURVES.name} and {SURFACES.name} in {PAGE.parent}/")


if __name__ == "__main__":
    write()
