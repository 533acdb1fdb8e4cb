"""Records of runs as a grid writes them."""

import io

from rich.console import Console

from crild.grid.formats import terminal

METHODS = ["cr-ild", "kd", "ft"]
CLAIM = "CR-ILD wins."


def run(task, method, seed, score, condition="full", **more):
    """A record as `crild compare` writes it; a text for a score is an error."""
    out = {
        "task": task, "condition": condition, "method": method, "seed": seed, "control": method == "ft",
        "folder": f"runs/{task}/{condition}/{method}/{seed}", "started": "2025-01-01T00:00:00+00:00",
    }  # fmt: skip
    if isinstance(score, str):
        return out | {"status": "failed", "error": score} | more
    return out | {
        "status": "done", "error": None, "metric": "accuracy", "score": score, "best_validation": None, "minutes": 1.5,
        "parameters": 1000, "latency_ms": 2.0,
    } | more  # fmt: skip


def grid(scores, task="RTE", condition="full", first=1):
    """Records of {method: [score of each seed]}."""
    return [
        run(task, method, first + i, score, condition)
        for method, own in scores.items()
        for i, score in enumerate(own)
        if score is not None
    ]


FIVE = {
    "teacher": [0.9, 0.9, 0.9, 0.9, 1.0],
    "cr-ild": [0.81, 0.82, 0.83, 0.84, 0.85],
    "kd": [0.80, 0.80, 0.80, 0.80, 0.80],
    "ft": [0.70, 0.72, 0.73, 0.74, 0.76],
}


def rows(summary, place=0):
    return {row.name: row for row in summary.blocks[place].rows}


def shown(summary, width=300):
    console = Console(width=width, file=io.StringIO(), force_terminal=False, color_system=None)
    console.print(terminal(summary))
    return console.file.getvalue()


def several():
    worse = {m: own if m == "teacher" else [x - 0.2 for x in own] for m, own in FIVE.items()}
    turned = FIVE | {"kd": FIVE["cr-ild"], "cr-ild": [0.80, 0.81, 0.80, 0.80, 0.80]}
    part = {m: own for m, own in FIVE.items() if m != "kd"}
    return [
        *grid(FIVE), *grid(worse, condition="n=1000"), *grid(turned, condition="n=100"), *grid(part, task="CoLA"),
    ]  # fmt: skip
