"""What can be seen of overfitting in the students of a grid, for docs/overfitting.md.

    crild compare experiments/overfitting.yaml --output runs/overfitting
    python -m benchmarks.overfitting [runs/overfitting] [--output benchmarks/results/overfitting.json]
    python -m tools.overfitting

Every finished student of a method with a teacher is looked at with `crild.diagnostics`: losses and score on training
rows and held-out rows, every term at the end of each stage, the score under noise on the weights, losses along random
directions, the largest Hessian eigenvalue. A student's figures are written as soon as they are found; the same call
goes on where it was, and takes what the grid has finished since. About a minute a student on one core.
"""

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from crild.console import quiet_libraries, say
from crild.diagnostics import gap, hessian, noise, surface
from crild.diagnostics.case import SPLITS, Case, open_case
from crild.errors import CrildError
from crild.files import write_whole
from crild.grid.spec import CONTROL, GRID, Cell, cells, read_grid
from crild.run.folder import RunFolder, environment

ROWS = 256  # of each split
SEED = 42  # of rows, noise and directions: the same for all students of a task
DIGITS = 5
Key = tuple[str, str, int]


def key(student: dict[str, Any]) -> Key:
    """Return which student figures are of: task, method, seed."""
    return student["task"], student["method"], student["seed"]


def finished(folder: Path) -> dict[Key, Cell]:
    """Return the students of a grid that are finished, but for those without a teacher.

    Raises:
        CrildError: the folder holds no grid.
    """
    students = [cell for cell in cells(read_grid(str(folder / GRID))) if cell.method != "teacher"]
    return {
        (cell.task, cell.method, cell.seed): cell
        for cell in students
        if cell.options["method"] != CONTROL and RunFolder(folder / cell.folder).is_finished
    }


def surfaces(case: Case, plane: bool) -> dict[str, Any]:
    """Return the student's losses along a random direction and, if wanted, on the plane of two, training rows alone."""
    rows = {split: case.sample(split, most=surface.ROWS) for split in SPLITS}
    sides = {"line_at": surface.LINE} | ({"plane_at": surface.PLANE} if plane else {})
    return sides | surface.around(case, "student", rows, plane)


def curvature(case: Case) -> float | None:
    """Return the largest eigenvalue of the Hessian of the task's loss; ``None`` where Lanczos did not end."""
    try:
        return float(hessian.of_run(replace(case, objective=None))["models"]["student"]["task"])
    except CrildError:
        return None


def figures(case: Case, plane: bool) -> dict[str, Any]:
    """Return what is seen of a run's student.

    Args:
        case: the run.
        plane: with the losses on a plane.

    Returns:
        ``fit`` (task loss, loss to the teacher and score of the finished student: train, held_out, gap), ``stages``
        (every term at the end of each stage, as the run has logged it: train, held_out), ``noise`` (by split score and
        loss: mean, lowest, highest and all draws, by scale), ``surface``, ``curvature``, and ``matching``: what the
        loss to the teacher is.
    """
    alone = replace(case, models={"student": case.models["student"]})
    shaken = noise.of_run(alone)
    stages = gap.by_epoch(case)["stages"]
    return {
        "fit": gap.at_the_end(case)["models"]["student"],
        "stages": {
            stage: {term: {split: of[split][-1] for split in SPLITS} for term, of in each["terms"].items()}
            for stage, each in stages.items()
        },
        "noise": {"scales": shaken["scales"], **shaken["models"]["student"]},
        "surface": surfaces(case, plane),
        "curvature": curvature(alone),
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


def look(name: str, folder: Path, plane: bool) -> dict[str, Any]:
    """Return the figures of a finished run's student.

    Raises:
        CrildError: its models or its data are not there.
    """
    case = open_case(name, str(folder), ROWS, SEED)
    if "student" not in case.models or case.rows is None:
        raise CrildError("; ".join(case.notes))
    scored = case.run.result.models["student"]
    assert scored is not None
    return rounded({"metric": case.metric, "score": scored.score, **figures(case, plane)})


def write(output: Path, found: list[dict[str, Any]]) -> None:
    """Write all figures, a line for each student."""
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in sorted(found, key=key))
    about = json.dumps({"rows": ROWS, "seed": SEED, **environment()})
    write_whole(output, f'{about[:-1]}, "students": [\n{lines}\n]}}\n')


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grid", type=Path, nargs="?", default=Path("runs/overfitting"), help="with students' weights")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/overfitting.json"))
    options = parser.parse_args(arguments)
    quiet_libraries()
    try:
        todo = finished(options.grid)
    except CrildError as error:
        parser.error(str(error))
    text = options.output.read_text(encoding="utf-8") if options.output.exists() else '{"students": []}'
    found = json.loads(text)["students"]
    known = set(map(key, found))
    first = read_grid(str(options.grid / GRID)).seeds[0]
    for place, cell in todo.items():
        if place in known:
            continue
        start, name = time.monotonic(), ", ".join(map(str, place))
        try:
            seen = look(name, options.grid / cell.folder, plane=cell.seed == first)
        except CrildError as error:  # another one may be whole
            say(f"{name}: left out: {error}")
            continue
        found.append(dict(zip(("task", "method", "seed"), place, strict=True)) | seen)
        write(options.output, found)
        say(f"{name}: {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
