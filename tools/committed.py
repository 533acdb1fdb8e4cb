"""The committed grids and their result files: what the README claims, and in `notebook/` all else that was tried."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from crild.grid.spec import run_name

ROOT = Path(__file__).resolve().parents[1]
GRIDS, RESULTS = ROOT / "experiments", ROOT / "results"


def grid_file(name: str) -> Path:
    """Return the file of a committed grid."""
    (path,) = GRIDS.rglob(f"{name}.yaml")
    return path


@cache
def contents(name: str) -> Any:
    """Return what a result file holds."""
    (path,) = RESULTS.rglob(f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def grids() -> list[str]:
    """Return the names of all grids with a result file that has a table."""
    held = {path.stem: contents(path.stem) for path in RESULTS.rglob("*.json")}
    return sorted(name for name, each in held.items() if isinstance(each, dict) and "methods" in each)


def on_cpu(held: dict[str, Any]) -> bool:
    """Return whether all of a grid was made on a CPU."""
    return all(each["machine"]["gpu"] is None for each in held["machines"])


def finished(held: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a grid's finished runs; a teacher that several conditions share is there once."""
    done = [run for run in held["runs"] if run["status"] == "done"]
    first = {run["folder"]: run for run in reversed(done)}
    return [run for run in done if run is first[run["folder"]]]


def name_of(run: dict[str, Any]) -> str:
    """Return what `crild compare --only` calls a run."""
    return run_name(run["task"], run["condition"], run["method"], run["seed"])


def command(grid: str, run: str, output: str) -> list[str]:
    """Return the command that makes a run again in a folder, its teacher included, to be given in the checkout."""
    return ["crild", "compare", grid_file(grid).relative_to(ROOT).as_posix(), "--output", output, "--only", run]
