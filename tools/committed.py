"""The committed grids and their result files: those of this version, and in `notebook/` those of earlier rounds."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from crild.grid.spec import run_name

ROOT = Path(__file__).resolve().parents[1]
GRIDS, RESULTS = ROOT / "experiments", ROOT / "results"
CLAIMS = GRIDS / "claims.yaml"
FIRST_ROUND = "673a04f"  # the commit at which the first round's pages come out, and its rows that a CPU made


def grid_files() -> list[Path]:
    """Return the files of all committed grids."""
    return sorted(path for path in GRIDS.rglob("*.yaml") if path != CLAIMS)


def grid_file(name: str) -> Path:
    """Return the file of a committed grid."""
    (path,) = (path for path in grid_files() if path.stem == name)
    return path


@cache
def contents(name: str) -> Any:
    """Return what a result file holds; ``None`` while there is none."""
    found = [*RESULTS.rglob(f"{name}.json")]
    return json.loads(found[0].read_text(encoding="utf-8")) if found else None


def together(parts: Iterable[Any]) -> Any:
    """Return what several result files hold as one, the first one's claim and reference; ``None`` without any.

    Args:
        parts: contents of result files; ``None`` where there is none yet.
    """
    there = [part for part in parts if part is not None]
    if not there:
        return None
    lists = ("methods", "machines", "runs", "tuning", "left_out")
    joined = {name: [entry for part in there for entry in part.get(name, ())] for name in lists}
    return there[0] | joined | {"methods": list(dict.fromkeys(joined["methods"]))}


def current() -> list[str]:
    """Return the names of the result files of this version: those outside the notebook."""
    return sorted(path.stem for path in RESULTS.glob("*.json"))


def on_cpu(held: Mapping[str, Any]) -> bool:
    """Return whether all of a grid was made on a CPU."""
    return all(each["machine"]["gpu"] is None for each in held["machines"])


def finished(held: Mapping[str, Any]) -> list[dict[str, Any]]:
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
