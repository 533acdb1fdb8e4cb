"""Run one committed row again, picked at random, and say whether it comes out the same: ``make again``.

    python benchmarks/again.py [--grid NAME] [--draw N]

The draw is among the rows of all grids whose results were made on a CPU (of one grid with --grid): on a GPU dropout
draws other numbers, so there the same command is another seed. Exit code 1 where the score is another one.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from crild.grid.spec import run_name

ROOT = Path(__file__).resolve().parents[1]


def is_grid(held):
    """Return whether a result file is a grid's."""
    return isinstance(held, dict) and "methods" in held


def on_cpu(held):
    """Return whether all of a grid was made on a CPU."""
    return all(each["machine"]["gpu"] is None for each in held["machines"])


def finished(held):
    """Return a grid's finished runs; a teacher that several conditions share is there once."""
    done = [run for run in held["runs"] if run["status"] == "done"]
    first = {run["folder"]: run for run in reversed(done)}
    return [run for run in done if run is first[run["folder"]]]


def name(run):
    """Return what `crild compare --only` calls a run."""
    return run_name(run["task"], run["condition"], run["method"], run["seed"])


def rows(grid=None):
    """Return every finished run of the committed CPU grids (or of one grid) as (grid, run)."""
    files = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "results").glob("*.json")}
    chosen = [stem for stem in sorted(files) if grid in (None, stem) and is_grid(files[stem])]
    return [(stem, run) for stem in chosen if on_cpu(files[stem]) for run in finished(files[stem])]


def command(grid, run, output):
    """Return the command that makes a run again in a folder, its teacher included."""
    return ["crild", "compare", f"experiments/{grid}.yaml", "--output", str(output), "--only", name(run)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", help="draw among the rows of this one")
    parser.add_argument("--draw", type=int, help="seed of the draw, to have the same row again")
    chosen = parser.parse_args()
    found = rows(chosen.grid)
    if not found:
        parser.error(f"--grid: no committed rows of {chosen.grid} were made on a CPU")
    grid, run = random.Random(chosen.draw).choice(found)
    with tempfile.TemporaryDirectory(prefix="crild-again-") as folder:  # a new one: a finished run is never repeated
        words = command(grid, run, folder)
        print("row:", grid, "|", name(run), "| one of", len(found), flush=True)
        print("command:", " ".join(f"'{w}'" if " " in w else w for w in words), flush=True)
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)
        made = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))["runs"]
    (again,) = (each for each in made if name(each) == name(run))
    same = again["score"] == run["score"]
    print(f"committed: {run['score']!r}\nagain:     {again['score']!r}\n{'the same' if same else 'ANOTHER'}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
