"""What each rule for the epoch to keep would have scored, from the histories of runs that followed validation.

    python -m tools.selection_rules results/selection_rules.json GRID_FOLDER...

A grid is called by its folder's name. For each of its runs with `track_validation: true`: the validation score of the
epoch that a rule keeps, in the last stage. `score` is crild's default (the later of equals), `loss` the lowest held-out
loss, `last` the last epoch, and `best` what no rule can know.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from crild.grid.spec import cells, read_grid
from crild.methods.registry import find_method
from crild.run.folder import RunFolder


def keep(entries: list[dict[str, Any]]) -> dict[str, float]:
    """Return the validation score of the epoch that each rule keeps, and the epoch that crild's keeps."""
    latest_first = entries[::-1]
    kept = max(latest_first, key=lambda entry: entry["score"])
    return {
        "score": kept["validation"],
        "loss": min(latest_first, key=lambda entry: sum(entry["held_out"].values()))["validation"],
        "last": entries[-1]["validation"],
        "best": max(entry["validation"] for entry in entries),
        "epoch": kept["epoch"],
    }


def rules(folder: Path) -> list[dict[str, Any]]:
    """Return one entry for each finished student of the grid in ``folder`` that followed validation."""
    out = []
    for cell in cells(read_grid(str(folder / "grid.yaml"))):
        run = RunFolder(folder / cell.folder)
        if cell.teacher is None or not run.is_finished:
            continue
        last = find_method(cell.options["method"]).two_stage[-1]
        entries = [entry for entry in run.history(last.name) if "validation" in entry and "score" in entry]
        if entries:
            names = {name: getattr(cell, name) for name in ("task", "condition", "method", "seed")}
            out.append({"grid": folder.name, **names, **keep(entries)})
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("grids", type=Path, nargs="+", metavar="GRID_FOLDER")
    chosen = parser.parse_args()
    found = [entry for grid in chosen.grids for entry in rules(grid)]
    chosen.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} runs")
