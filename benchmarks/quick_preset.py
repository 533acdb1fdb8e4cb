"""Run `crild distill` with the quick preset on GLUE tasks, the demo's encoder as teacher and base.

    python benchmarks/quick_preset.py ../shared/glue OUTPUT benchmarks/results/quick_preset.jsonl RTE MRPC STS-B

Appends one JSON line a task; a task that is already in the results is not run again.
"""

import json
import sys
from pathlib import Path

import crild
from crild.data.tweets import encoder

if __name__ == "__main__":
    glue, output, results, tasks = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]
    done = {json.loads(line)["task"] for line in results.open()} if results.exists() else set()
    results.parent.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        if task in done:
            continue
        r = crild.distill(teacher=encoder(), data=f"{glue}/{task}", student=3, output=f"{output}/{task}")
        scores = {who: round(r[who]["score"], 4) for who in ("teacher", "control", "student")}
        line = {
            "task": task,
            "metric": r["metric"],
            **scores,
            "train_rows": r["rows"]["train"],
            "minutes": r["minutes"],
        }
        with results.open("a") as file:
            print(json.dumps(line), file=file)
