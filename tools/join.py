"""Join parts of a grid that ran on several machines or days: ``python -m tools.join results/NAME.json PART...``.

A part is the ``results.json`` that ``crild compare experiments/NAME.yaml --only ...`` wrote. What is in the file stays;
a finished run takes the place of a failed one. Teachers are trained anew wherever a part of their students runs: one
whose score is another than in the file stops the joining, for its students had another teacher.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crild.files import write_whole
from crild.grid.spec import read_grid
from crild.grid.table import TEACHER
from tools.committed import ROOT, grid_file, name_of

Entry = dict[str, Any]


def join(parts: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> dict[str, Any]:
    """Return the results of all parts together.

    Args:
        parts: contents of ``results.json``, those that stay first.
        methods: of the grid, in its order.

    Raises:
        ValueError: parts of different grids, or a teacher that came out with another score.
    """
    out = dict(parts[0])
    for part in parts:
        if (part["claim"], part["reference"]) != (out["claim"], out["reference"]):
            raise ValueError(f"parts of two grids: {out['claim']!r} and {part['claim']!r}")
    runs = united((run for part in parts for run in part["runs"]), which, lambda run: run["status"] == "done")
    scores = {(run["folder"], run["condition"]): run["score"] for run in runs if run["status"] == "done"}
    for part in parts:
        for run in part["runs"]:
            known = scores.get((run["folder"], run["condition"]))
            if run["method"] == TEACHER and run["status"] == "done" and run["score"] != known:
                raise ValueError(f"{name_of(run)}: {known} in one part, {run['score']} in another: another machine?")
    out["runs"] = runs
    there = {run["method"] for run in runs}
    out["methods"] = [name for name in methods if name in there]
    out["machines"] = united((each for part in parts for each in part["machines"]), json.dumps)
    for name in ("tuning", "left_out"):
        if entries := [entry for part in parts for entry in part.get(name, ())]:
            out[name] = united(entries, place_of, lambda entry: not entry.get("error"))
    return out


def which(run: Entry) -> tuple[str, str | None]:
    """Return which run of the grid it is; of a teacher its folder too, for methods of one seed may have several."""
    return name_of(run), run["folder"] if run["method"] == TEACHER else None


def place_of(entry: Entry) -> tuple[str | None, ...]:
    """Return where a search, or a task that was left out, stands in the grid."""
    return tuple(entry.get(key) for key in ("task", "condition", "method"))


def united(
    entries: Iterable[Entry], key: Callable[[Entry], Any], sound: Callable[[Entry], bool] = lambda _: True
) -> list[Entry]:
    """Return the first entry of each key; a sound one takes the place of one that is not."""
    out: dict[Any, Entry] = {}
    for entry in entries:
        if key(entry) not in out or (sound(entry) and not sound(out[key(entry)])):
            out[key(entry)] = entry
    return list(out.values())


def main() -> None:
    """Join, and write the first file anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results/NAME.json; made where it is not there")
    parser.add_argument("parts", type=Path, nargs="+")
    chosen = parser.parse_args()
    files = [path for path in (chosen.results, *chosen.parts) if path != chosen.results or path.exists()]
    grid = read_grid(str(grid_file(chosen.results.stem).relative_to(ROOT)))
    try:
        whole = join([json.loads(path.read_text(encoding="utf-8")) for path in files], list(grid.methods))
    except ValueError as error:
        sys.exit(f"join: {error}")
    write_whole(chosen.results, json.dumps(whole, indent=1) + "\n")
    done = sum(run["status"] == "done" for run in whole["runs"])
    print(f"{chosen.results}: {done} finished runs of {len(files)} files")


if __name__ == "__main__":
    main()
