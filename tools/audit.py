"""Ask PyPI's vulnerability service for every package in constraints.txt: ``make audit``.

Exit code 0: it knows of nothing; 1: it does, and what that is; 2: it does not answer, or does not know the packages, as
on a machine that has a mirror of PyPI alone: then nothing is audited, whatever pip-audit itself says.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[1] / "constraints.txt"
ASK = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")


def verdict(answer: dict[str, Any]) -> tuple[int, str]:
    """Return the exit code and what to say of pip-audit's answer."""
    packages = answer["dependencies"]
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    bad = [
        f"{each['name']} {each['version']}: {', '.join(found['id'] for found in each['vulns'])}"
        for each in packages
        if each.get("vulns")
    ]
    told = f"{len(packages) - len(unknown)} of {len(packages)} packages audited"
    if bad:
        return 1, "\n".join([*bad, told])
    if unknown:
        return 2, f"{told}: the vulnerability service does not know {', '.join(unknown[:3])}, ...; audit elsewhere"
    return 0, f"{told}, nothing is known against them"


def main() -> int:
    """Ask, with the pip-audit beside this Python."""
    program = Path(sys.executable).with_name("pip-audit")
    done = subprocess.run([program, *ASK, "-r", LOCK], capture_output=True, text=True)
    try:
        code, told = verdict(json.loads(done.stdout))
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        code, told = 2, f"nothing audited: the vulnerability service does not answer ({last})"
    print(told)
    return code


if __name__ == "__main__":
    sys.exit(main())
