"""What can be seen of overfitting in the students of a grid, for docs/overfitting.md.

    crild compare experiments/overfitting.yaml --output runs/overfitting
    python -m benchmarks.overfitting runs/overfitting [--output benchmarks/results/overfitting.json]
    python -m tools.overfitting

Every finished student is looked at as `crild diagnose` does, but for layers and probes: losses and score on training
rows and held-out rows, its score under noise on the weights, losses along random directions, the largest Hessian
eigenvalue. Each student's figures are written as they are found; the same call goes on where it was, and takes what the
grid has finished since. About a minute a student on one core.
"""

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from crild.console import quiet_libraries, say
from crild.diagnostics import gap, hessian, noise, surface
from crild.diagnostics.case import SPLITS, Case, open_case
from crild.errors import CrildError
from crild.files import write_whole
from crild.grid.spec import CONTROL, RESULTS
from crild.run.folder import environment

ROWS = 256  # of each split
SEED = 42  # of rows, noise and directions: the same for all students of a task
DIGITS = 5


def students(grid: Path) -> list[dict[str, Any]]:
    """Return the finished students of a grid, without those that had no teacher."""
    runs = json.loads((grid / RESULTS).read_text(encoding="utf-8"))["runs"]
    return [run for run in runs if run["status"] == "done" and run["method"] not in ("teacher", CONTROL)]


def figures(case: Case) -> dict[str, Any]:
    """Return what is seen of a run's student.

    Returns:
        ``fit`` (task loss, loss to the teacher and score: train, held_out, gap), ``stages`` (every term at the end of
        each stage: train, held_out), ``noise`` (by split score and loss: mean, low and high by scale), ``surface``
        (losses along a line by split, and on the plane), ``curvature`` of the task's loss (``None``: not found).
    """
    alone = replace(case, models={"student": case.models["student"]})
    shaken = noise.of_run(alone)
    try:
        bent = hessian.of_run(replace(alone, objective=None))["models"]["student"]["task"]
    except CrildError:  # Lanczos did not end
        bent = None
    around = surface.of_run(case)
    return {
        "fit": gap.at_the_end(case)["models"]["student"],
        "stages": {
            name: {term: {split: of[split][-1] for split in SPLITS} for term, of in each["terms"].items()}
            for name, each in gap.by_epoch(case)["stages"].items()
        },
        "noise": {
            "scales": shaken["scales"],
            **{
                split: {name: {k: v for k, v in of.items() if k != "draws"} for name, of in both.items()}
                for split, both in shaken["models"]["student"].items()
            },
        },
        "surface": {name: around[name] for name in ("line_at", "plane_at")} | around["models"]["student"],
        "curvature": bent,
        "matching": case.matching,
    }


def rounded(values: Any) -> Any:
    """Return nested values with numbers of `DIGITS` digits; what is no number (an overflow) is ``None``."""
    if isinstance(values, dict):
        return {name: rounded(value) for name, value in values.items()}
    if isinstance(values, list):
        return [rounded(value) for value in values]
    if isinstance(values, float):
        return float(f"{values:.{DIGITS}g}") if math.isfinite(values) else None
    return values


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grid", type=Path, help="folder of the grid, with the students' weights")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/overfitting.json"))
    options = parser.parse_args(arguments)
    quiet_libraries()
    found: list[dict[str, Any]] = []
    if options.output.exists():
        found = json.loads(options.output.read_text(encoding="utf-8"))["students"]
    known = {(each["task"], each["method"], each["seed"]) for each in found}
    for run in students(options.grid):
        key = run["task"], run["method"], run["seed"]
        if key in known:
            continue
        name = ", ".join(map(str, key))
        try:
            case = open_case(name, str(options.grid / run["folder"]), ROWS, SEED)
        except CrildError as error:
            say(f"{name}: {error}")
            continue
        about = {"task": key[0], "method": key[1], "seed": key[2], "metric": run["metric"], "score": run["score"]}
        found.append(rounded(about | figures(case)))
        found.sort(key=lambda each: (each["task"], each["method"], each["seed"]))
        whole = {"rows": ROWS, "seed": SEED, "students": found, **environment()}
        write_whole(options.output, json.dumps(whole, separators=(",", ":")).replace('{"task"', '\n{"task"') + "\n")
        say(f"{name}: written")


if __name__ == "__main__":
    main()
