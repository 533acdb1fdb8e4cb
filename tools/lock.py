"""Write constraints.txt: the version of every package that the development environment holds for crild: ``make lock``.

It is the lock file: every install that this project describes is made with ``-c constraints.txt``. What the environment
does not need for crild and its extras is left out.
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parents[1] / "constraints.txt"
HEADER = """\
# The versions that crild is developed and tested with, all of them: pip install -c constraints.txt ...
# Written by `make lock` with Python {python}. torch resolves to a CPU build here; a bare range would pull gigabytes of
# CUDA libraries.
"""


def requires(name: str) -> list[str]:
    """Return what a package needs: of crild, what pyproject.toml says now."""
    if name != "crild":
        return distribution(name).requires or []
    project = tomllib.loads(LOCK.with_name("pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"].items()
    return [*project["dependencies"], *(f"{line}; extra == '{extra}'" for extra, lines in optional for line in lines)]


def needed(requirement: Requirement, found: dict[str, str], seen: set[tuple[str, str]]) -> None:
    """Add a requirement's package, and all that it needs, to versions by name."""
    name = canonicalize_name(requirement.name)
    for extra in ("", *sorted(requirement.extras)):
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed: make test installs the development environment") from None
        found[name] = package.version
        for line in requires(name):
            inner = Requirement(line)
            if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                needed(inner, found, seen)


def lock() -> str:
    """Return what constraints.txt should hold."""
    found: dict[str, str] = {}
    needed(Requirement("crild[dev]"), found, set())
    found = {
        name: re.sub(r"\+.*", "", version) for name, version in found.items() if name != "crild"
    }  # no local builds
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items())]
    return HEADER.format(python="{}.{}".format(*sys.version_info)) + "".join(lines)


if __name__ == "__main__":
    LOCK.write_text(lock(), encoding="utf-8")
