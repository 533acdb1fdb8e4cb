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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def rows(grid=None):
    """Return every finished run of the committed CPU grids (or of one grid) as (grid, run)."""
    out = []
    for path in sorted((ROOT / "results").glob("*.json")):
        held = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(held, dict) or "methods" not in held or grid not in (None, path.stem):
            continue
        if all(each["machine"]["gpu"] is None for each in held["machines"]):
            done = [run for run in held["runs"] if run["status"] == "done"]
            first = {run["folder"]: run for run in reversed(done)}  # conditions that share a teacher: a line for each
            out += [(path.stem, run) for run in done if run is first[run["folder"]]]
    return out


def name(run):
    """Return what `crild compare --only` calls a run."""
    return f"{run['task']}, {run['condition']}, {run['method']}, seed {run['seed']}"


def command(grid, run):
    """Return the command that makes a run again, its teacher included."""
    return [
        "crild", "compare", f"experiments/{grid}.yaml", "--output", f"grids/again/{grid}", "--only", name(run)
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", help="draw among the rows of this one")
    parser.add_argument("--draw", type=int, help="seed of the draw, to have the same row again")
    chosen = parser.parse_args()
    found = rows(chosen.grid)
    if not found:
        parser.error(f"--grid: no committed rows of {chosen.grid} were made on a CPU")
    grid, run = random.Random(chosen.draw).choice(found)
    words = command(grid, run)
    print("row:", grid, "|", name(run), "| one of", len(found), flush=True)
    print("command:", " ".join(f"'{w}'" if " " in w else w for w in words), flush=True)
    subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)
    made = json.loads((ROOT / words[4] / "results.json").read_text(encoding="utf-8"))["runs"]
    (again,) = (each for each in made if name(each) == name(run))
    same = again["score"] == run["score"]
    print(f"committed: {run['score']!r}\nagain:     {again['score']!r}\n{'the same' if same else 'ANOTHER'}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
