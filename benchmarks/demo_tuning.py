"""Run the demo on its *tuning* rows, with changes to its settings: how `src/crild/demo.yaml` was chosen.

    python benchmarks/demo_tuning.py OUTPUT '{"train": {"student_head": "teacher"}}'

Prints one JSON line: the changes, the scores of the four models, minutes.
"""

import json
import sys
from typing import Any

from crild.demo import run_demo, settings


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings with changes."""
    out = dict(values)
    for key, value in changes.items():
        out[key] = merged(out.get(key, {}), value) if isinstance(value, dict) else value
    return out


if __name__ == "__main__":
    changes = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    values = merged(settings(), changes)
    values["data"] += ":tuning"
    result = run_demo(sys.argv[1], values)
    scores = {name: round(result[name]["score"], 4) for name in ("teacher", "control", "kd", "student")}
    print(json.dumps({"changes": changes, **scores, "minutes": result["minutes"]}))
