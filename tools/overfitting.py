"""Write docs/overfitting.md and its pictures from benchmarks/results/overfitting.json: ``python -m tools.overfitting``.

The words are in overfitting.md.j2. Which of them, and all numbers, follow from the figures.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crild.diagnostics.noise import DRAWS, SHOWN
from crild.diagnostics.surface import ROWS as SURFACE_ROWS
from crild.escaping import escape_markdown
from crild.grid.spec import CONTROL, Grid, read_grid
from crild.grid.table import deviation, mean, natural
from tools.claims import Verdict, judge_pairs
from tools.committed import ROOT, grid_file
from tools.drawing import BLUE, GREY, PALE, RED, svg
from tools.templates import templates

DOCS = ROOT / "docs"
FIGURES = ROOT / "benchmarks" / "results" / "overfitting.json"
PAGE, CURVES, SURFACE = "overfitting.md", "overfitting.svg", "overfitting-surface.svg"
STYLES = {"u-ild": (RED, "o"), "l-ild": (GREY, "s"), "cr-ild": (BLUE, "D"), "kd": ("#222222", "^")}
CLAIMED = (("u-ild", "l-ild"), ("u-ild", "cr-ild"), ("l-ild", "cr-ild"), ("kd", "cr-ild"))
"""Of each pair the first is said to overfit more."""
Student = Mapping[str, Any]
Curve = tuple[Sequence[float], Sequence[float]]


def layers(student: Student) -> Mapping[str, float]:
    """Return a finished student's loss to the teacher's layers on both splits, where its method matches any."""
    if "ild" not in student["stages"]:
        raise KeyError("no layer was matched")
    found: Mapping[str, float] = student["fit"]["ild"]
    return found


LOSSES: dict[str, Callable[[Student], Mapping[str, float]]] = {
    "layers": layers,
    "logits": lambda one: one["stages"]["kd"]["kd"],
    "labels": lambda one: one["fit"]["loss"],
}
"""On both splits: to the teacher's layers, to its logits (at the end of that stage), to the labels."""


def lower(loss: str, student: Student) -> float:
    """Return by how many per cent one of `LOSSES` is lower on training rows than on held-out rows."""
    of = LOSSES[loss](student)
    return 100 * (1 - of["train"] / of["held_out"])


def fall(student: Student) -> float:
    """Return how many points of the held-out score noise takes away."""
    scores, place = student["noise"]["held_out"]["score"]["mean"], student["noise"]["scales"].index(SHOWN)
    return float(100 * (scores[0] - scores[place]))


@dataclass(frozen=True)
class Sign:
    """One way to see overfitting: the larger, the more; in a unit that tasks share, for they are averaged.

    Attributes:
        name: of its column.
        of: returns it of a student; it raises where the student has none.
        digits: after the point.
        what: it is, in words.
    """

    name: str
    of: Callable[[Student], float]
    digits: int
    what: str


SIGNS = (
    Sign("score gap", lambda one: float(100 * one["fit"]["score"]["gap"]), 1,
         "points that the score is higher on training rows than on held-out rows"),
    Sign("layers gap", partial(lower, "layers"), 1,
         "per cent that the finished student's loss to those layers of the teacher that its method matches is lower on "
         "training rows than on held-out rows; these layers differ by method, and `kd` matches none"),
    Sign("logits gap", partial(lower, "logits"), 1,
         "the same of the loss to the teacher's logits at the end of the stage that learns them, as the run logged it"),
    Sign("lost by noise", fall, 1,
         f"points of the held-out score that noise on the weights takes, {SHOWN:g} times as long as each tensor"),
    Sign("sharpness", lambda one: math.log10(one["curvature"]), 2,
         "log10 of the largest eigenvalue of the Hessian of the labels' loss on training rows; it is small as well "
         "where these rows are known by heart"),
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """The figures, and what the page says of them.

    Attributes:
        students: of `benchmarks.overfitting`, one each.
        grid: that they are of.
    """

    students: Sequence[Student]
    grid: Grid

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks on which a student was looked at, in natural order."""
        return sorted({one["task"] for one in self.students}, key=natural)

    @cached_property
    def methods(self) -> list[str]:
        """The methods with a teacher, in the grid's order."""
        return [name for name, options in self.grid.methods.items() if options["method"] != CONTROL]

    @property
    def wanted(self) -> int:
        """How many students there are to look at."""
        return len(self.grid.tasks) * len(self.methods) * len(self.grid.seeds)

    def of(self, task: str, method: str) -> list[Student]:
        """Return a method's students on a task, by seed."""
        mine = [one for one in self.students if (one["task"], one["method"]) == (task, method)]
        return sorted(mine, key=lambda one: one["seed"])

    def values(self, of: Callable[[Student], float], task: str, method: str) -> dict[int, float]:
        """Return a number of a method's students on a task by seed; none where it is not there, or no number."""
        out = {}
        for one in self.of(task, method):
            try:
                out[one["seed"]] = of(one)
            except (LookupError, TypeError, ValueError, ZeroDivisionError):  # null: an overflow, or not found
                continue
        return out

    def judge(self, sign: Sign, more: str, less: str) -> Verdict:
        """Return what the seeds say: differences paired by seed (so by teacher), averaged over tasks for each seed.

        A task with fewer paired seeds than another is left out; see `tools.claims.judge`.
        """
        paired = {}
        for task in self.tasks:
            first, second = (self.values(sign.of, task, name) for name in (more, less))
            paired[task, ""] = {seed: first[seed] - second[seed] for seed in first if seed in second}
        return judge_pairs(paired, 0.0)

    def signs(self, more: str, less: str) -> list[Sign]:
        """Return the signs by which two methods can be compared: who matches no layer has no gap there."""
        matching = [bool(self.grid.methods[name].get("ild_epochs")) for name in (more, less)]
        return [sign for sign in SIGNS if all(matching) or sign.name != "layers gap"]

    def sentence(self, more: str, less: str) -> str:
        """Return "**holds** by lost by noise; **not told apart** by score gap, sharpness"."""
        words: dict[str, list[str]] = {}
        for sign in self.signs(more, less):
            words.setdefault(self.judge(sign, more, less).word, []).append(sign.name)
        return "; ".join(f"**{word}** by {', '.join(names)}" for word, names in words.items())

    @property
    def table(self) -> str:
        """Every task and method: seeds, score, signs."""
        lines = [
            [escape_markdown(task), f"`{method}`", str(len(mine)), spread([one["score"] for one in mine], 4),
             *(spread(list(self.values(sign.of, task, method).values()), sign.digits) for sign in SIGNS)]
            for task in self.tasks
            for method in self.methods
            if (mine := self.of(task, method))
        ]  # fmt: skip
        return markdown(["task", "method", "seeds", "score", *(sign.name for sign in SIGNS)], lines, texts=2)

    @property
    def verdicts(self) -> str:
        """Every sign and pair of methods: the difference, its interval, the word."""
        lines = [
            [sign.name, *(told(self.judge(sign, *pair), sign.digits) if sign in self.signs(*pair) else "-"
                          for pair in CLAIMED)]
            for sign in SIGNS
        ]  # fmt: skip
        heading = ["sign", *(f"`{more}` less `{less}`" for more, less in CLAIMED)]
        return markdown(heading, lines, texts=len(heading))

    @property
    def terms(self) -> str:
        """Every term at the end of each stage, on training rows and on held-out rows."""
        lines = []
        for task, method in ((task, method) for task in self.tasks for method in self.methods):
            mine = self.of(task, method)
            for stage, terms in mine[0]["stages"].items() if mine else ():
                for term in terms:
                    both = [[one["stages"][stage][term][split] for one in mine] for split in ("train", "held_out")]
                    cells = [spread([x for x in each if x is not None], 3) for each in both]
                    lines.append([escape_markdown(task), f"`{method}`", stage, term, *cells])
        return markdown(["task", "method", "stage", "term", "training rows", "held-out rows"], lines, texts=4)


def told(verdict: Verdict, digits: int) -> str:
    """Return "+1.2 (-0.3 to +2.7), not told apart"."""
    if verdict.difference is None:
        return verdict.word
    middle, *ends = (f"{each:+z.{digits}f}" for each in (verdict.difference, *(verdict.interval or ())))
    return f"{middle}{f' ({ends[0]} to {ends[1]})' if ends else ''}, {verdict.word}"


def spread(numbers: Sequence[float], digits: int) -> str:
    """Return a mean and, of several, the standard deviation; a dash of none."""
    if not numbers:
        return "-"
    beside = deviation(numbers)
    return f"{mean(numbers):.{digits}f}" + ("" if beside is None else f" ± {beside:.{digits}f}")


def markdown(heading: Sequence[str], lines: Sequence[Sequence[str]], texts: int) -> str:
    """Return a table whose first columns are texts, the others numbers."""
    rule = [" --- " if place < texts else " ---: " for place in range(len(heading))]
    return "\n".join([f"| {' | '.join(heading)} |", f"|{'|'.join(rule)}|", *(f"| {' | '.join(x)} |" for x in lines)])


# ---- the pictures ----


def by_seed(axes: Axes, method: str, found: Sequence[Curve]) -> None:
    """Draw the mean over seeds of a curve, and the range of seeds as a band."""
    colour, _ = STYLES[method]
    at, heights = found[0][0], np.array([heights for _, heights in found], dtype=float)
    axes.plot(at, heights.mean(0), color=colour, lw=1.4, label=method)
    axes.fill_between(at, heights.min(0), heights.max(0), color=colour, alpha=0.12, lw=0)


def gaps(axes: Axes, found: Found, task: str) -> None:
    """Draw by how many per cent each loss is lower on training rows: a mark for each seed, a bar at their mean."""
    for place, method in enumerate(found.methods):
        colour, marker = STYLES[method]
        for group, loss in enumerate(LOSSES):
            if heights := list(found.values(partial(lower, loss), task, method).values()):
                x = group + 0.18 * (place - (len(found.methods) - 1) / 2)
                axes.plot([x] * len(heights), heights, marker, color=colour, ms=4, mew=0, alpha=0.7)
                axes.plot([x - 0.07, x + 0.07], [mean(heights)] * 2, color=colour, lw=1.4)
    axes.set_xticks(range(len(LOSSES)), ["teacher's layers", "teacher's logits", "labels"])
    axes.set_xlim(-0.5, len(LOSSES) - 0.5)
    axes.grid(axis="y")
    axes.set(title=f"{task}: losses, how much lower on training rows", ylabel="%")


def curves(found: Found) -> Figure:
    """Return, a task a row, the held-out score under noise and the gaps of the losses."""
    figure = Figure(figsize=(8.4, 2.9 * len(found.tasks)), layout="constrained")
    panels = figure.subplots(len(found.tasks), 2, squeeze=False)
    for task, (left, right) in zip(found.tasks, panels, strict=True):
        for method in found.methods:
            if mine := found.of(task, method):
                noises = [one["noise"] for one in mine]
                by_seed(left, method, [(each["scales"], each["held_out"]["score"]["mean"]) for each in noises])
        metric = next(one["metric"] for one in found.students if one["task"] == task)
        left.axvline(SHOWN, color=PALE, zorder=0)
        left.grid(axis="y")
        left.set(title=f"{task}: held-out score under noise on the weights", ylabel=metric,
                 xlabel="noise, share of each tensor's length")  # fmt: skip
        left.legend(frameon=False, fontsize=8)
        gaps(right, found, task)
    return figure


def surfaces(found: Found) -> Figure:
    """Return, a task a row, the labels' loss on training rows along a line and, a method a column, on a plane."""
    ratios = [1.7, *[1.0] * len(found.methods)]
    figure = Figure(figsize=(1.7 * sum(ratios), 2.3 * len(found.tasks)), layout="constrained")
    panels = figure.subplots(len(found.tasks), len(ratios), squeeze=False, width_ratios=ratios)
    for task, (line, *planes) in zip(found.tasks, panels, strict=True):
        squares = {}
        for method in found.methods:
            around = [one["surface"] for one in found.of(task, method)]
            if around:
                by_seed(line, method, [(each["line_at"], each["line"]["train"]["task"]) for each in around])
            if first := next((each for each in around if "plane" in each), None):
                heights = np.array(first["plane"]["train"]["task"], dtype=float)
                squares[method] = first["plane_at"], np.log2(np.maximum(heights, 1e-12))
        line.set(title=f"{task}: along a line", yscale="log", ylabel="loss", xlabel="lengths of each filter")
        line.yaxis.set_major_formatter("{x:g}")
        line.legend(frameon=False, fontsize=7)
        ends = [(np.nanmin(heights), np.nanmax(heights)) for _, heights in squares.values()]
        for method, axes in zip(found.methods, planes, strict=True):
            axes.set(xticks=[], yticks=[], title=method, aspect="equal")
            if method in squares:
                side, heights = squares[method]
                levels = np.arange(math.floor(min(x for x, _ in ends)), math.ceil(max(x for _, x in ends)) + 0.5, 0.5)
                drawn = axes.contour(side, side, heights, levels=levels, colors=STYLES[method][0], linewidths=0.6,
                                     linestyles="-")  # fmt: skip
                drawn.set_clip_path(None)  # nothing sticks out, and its id would be another in every process
                axes.plot([0], [0], ".", color="#222222", ms=4)
    return figure


# ---- the page ----


def pages(held: Mapping[str, Any] | None) -> dict[str, str]:
    """Return docs/overfitting.md, and its pictures where a student was looked at, by their names in docs/.

    Args:
        held: what benchmarks/results/overfitting.json holds; ``None`` while there is none.
    """
    found = Found(held["students"] if held else [], read_grid(str(grid_file("overfitting"))))
    text = templates().get_template("overfitting.md.j2").render(
        found=found, held=held, claimed=CLAIMED, signs=SIGNS, draws=DRAWS, surface_rows=SURFACE_ROWS,
        curves=CURVES, surface=SURFACE,
    )  # fmt: skip
    return {PAGE: text} | ({CURVES: svg(curves(found)), SURFACE: svg(surfaces(found))} if found.students else {})


def figures() -> Any:
    """Return what the committed figures hold; ``None`` while there are none."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else None


if __name__ == "__main__":
    made = pages(figures())
    for name, text in made.items():
        (DOCS / name).write_text(text, encoding="utf-8")
    print(f"{', '.join(made)} in docs/")
