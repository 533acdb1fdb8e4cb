"""Run one committed row again, picked at random, and say whether it comes out the same: ``make again``.

    python -m tools.again [--grid NAME] [--draw N]

The draw is among the rows of this version's grids that were made on a CPU (of one grid with --grid): on a GPU dropout
draws other numbers, so there the same command is another seed. The notebook's rows come out at the commit that
docs/notebook/ names. Exit code 1 where the score is another one.
"""

import argparse
import json
import random
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tools.committed import FIRST_ROUND, ROOT, command, contents, current, finished, name_of, on_cpu


def rows(grid: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Return every finished run of this version's CPU grids (or of one of them) as (grid, run).

    Without the teachers of a seed that has several, where methods have options that are the teacher's too: they share
    a name.
    """
    chosen = [name for name in current() if grid in (None, name) and on_cpu(contents(name))]
    found = [(name, run) for name in chosen for run in finished(contents(name))]
    named = Counter((name, name_of(run)) for name, run in found)
    return [(name, run) for name, run in found if named[name, name_of(run)] == 1]


def main() -> None:
    """Draw a row, run it, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", help="draw among the rows of this one")
    parser.add_argument("--draw", type=int, help="seed of the draw, to have the same row again")
    chosen = parser.parse_args()
    found = rows(chosen.grid)
    if not found:
        parser.error(
            f"--grid {chosen.grid}: no row that was made on a CPU with this version; the notebook's come out at an "
            f"earlier commit (git checkout {FIRST_ROUND}, then the same command)"
        )
    grid, run = random.Random(chosen.draw).choice(found)
    with tempfile.TemporaryDirectory(prefix="crild-again-") as folder:  # a new one: a finished run is never repeated
        words = command(grid, name_of(run), folder)
        print("row:", grid, "|", name_of(run), "| one of", len(found), flush=True)
        print("command:", shlex.join(words), flush=True)
        if subprocess.run([sys.executable, "-m", *words], cwd=ROOT).returncode:
            sys.exit(f"again: the run failed, see above; {words[2]} says what data it needs")
        made = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))["runs"]
    (again,) = (each for each in made if name_of(each) == name_of(run))
    same = again["score"] == run["score"]
    print(f"committed: {run['score']!r}\nagain:     {again['score']!r}\n{'the same' if same else 'ANOTHER'}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
