"""What each rule for the epoch to keep would have scored, from the histories of runs that followed validation.

    python benchmarks/selection_rules.py GRID_FOLDER results/selection_rules.json

For each run of a grid with `track_validation: true`: the validation score of the epoch that a rule keeps, in the last
stage. `score` is crild's rule (the later of equals), `loss` the lowest held-out loss, `last` the last epoch, and `best`
what no rule can know.
"""

import argparse
import json
from pathlib import Path


def keep(entries):
    """Return the validation score of the epoch that each rule keeps."""
    latest_first = entries[::-1]
    return {
        "score": max(latest_first, key=lambda entry: entry["score"])["validation"],
        "loss": min(latest_first, key=lambda entry: sum(entry["held_out"].values()))["validation"],
        "last": entries[-1]["validation"],
        "best": max(entry["validation"] for entry in entries),
    }


def rules(folder):
    """Return one entry for each finished run, in the order of task, method and seed."""
    out = []
    for path in sorted(Path(folder).glob("runs/*/*/*/*/result.json")):
        method, seed = path.relative_to(Path(folder) / "runs").parts[2:4]
        stage = "student" if method == "ft" else "kd"
        lines = (path.parent / "stages" / stage / "history.jsonl").read_text(encoding="utf-8").splitlines()
        entries = [entry for entry in map(json.loads, lines) if "score" in entry]
        task = path.relative_to(Path(folder) / "runs").parts[0]
        out.append({"task": task, "method": method, "seed": int(seed), **keep(entries)})
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid")
    parser.add_argument("output")
    chosen = parser.parse_args()
    found = rules(chosen.grid)
    Path(chosen.output).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} runs")
