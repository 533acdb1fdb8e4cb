"""Write the mean losses by epoch of a grid's runs, from the logs in their run directories (tools/plots.py draws them).

    python -m tools.curves GRID_FOLDER results/curves.json --tasks MRPC STS-B SST-2 --methods kd l-ild cr-ild

Training and held-out loss of each student stage: the method's own terms without the consistency term, or the KD term.
Stage 1 is kept for `l-ild` and `cr-ild` alone, whose terms are the same.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from crild.grid.spec import cells, read_grid
from crild.run.folder import RunFolder

SAME_TERMS = ("l-ild", "cr-ild")


def loss(terms: dict[str, float] | None) -> float | None:
    """Return the sum of a history entry's terms; none before any step."""
    return sum(value for name, value in terms.items() if not name.startswith("consistency/")) if terms else None


def mean(values: list[float | None]) -> float | None:
    """Return the mean, or none where any value is missing."""
    known = [value for value in values if value is not None]
    return None if len(known) < len(values) else round(sum(known) / len(known), 5)


def series(folder: str, tasks: list[str], methods: list[str]) -> list[dict[str, Any]]:
    """Return one entry for each task, method and stage."""
    found = defaultdict(list)
    for cell in cells(read_grid(f"{folder}/grid.yaml")):
        run = RunFolder(Path(folder) / cell.folder)
        for stage in ("ild", "kd") if cell.method in SAME_TERMS else ("kd",):
            if cell.task in tasks and cell.method in methods and run.stage(stage).history.exists():
                found[cell.task, cell.method, stage].append(run.history(stage))
    out = []
    for (task, method, stage), runs in sorted(found.items()):
        points = [
            {
                "step": entries[0]["step"],
                "train": mean([loss(entry["train"]) for entry in entries]),
                "held_out": mean([loss(entry["held_out"]) for entry in entries]),
            }
            for entries in zip(*runs, strict=True)
        ]
        out.append({"task": task, "method": method, "stage": stage, "seeds": len(runs), "points": points})
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid")
    parser.add_argument("output")
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--methods", nargs="+", required=True)
    chosen = parser.parse_args()
    found = series(chosen.grid, chosen.tasks, chosen.methods)
    Path(chosen.output).write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{len(found)} curves")
