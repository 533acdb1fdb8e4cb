"""`status`: how far a run, a grid or a search for the fastest student is. Reads files alone; no torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from crild.config import StatusConfig, configure, takes
from crild.errors import CrildError
from crild.files import passing
from crild.grid.spec import GRID
from crild.grid.status import GridStatus, status_of_grid
from crild.pareto.result import FOUND, UNTRAINED
from crild.run.folder import CONFIG
from crild.run.status import Status, read, status_of


@takes(StatusConfig)
def status(config: StatusConfig | None = None, **options: Any) -> Status | GridStatus:
    """Say how far a run, a grid or a frontier is: running or killed, where, how long it takes, what it goes on from.

    Nothing is locked, loaded or written, so it can be asked while the run goes on.

    Args:
        config: a whole configuration; or
        options: the fields of `StatusConfig`: ``run="runs/tweets"``.

    Returns:
        It prints as a few lines; ``to_dict`` has all of it.

    Raises:
        CrildError: the folder holds neither a run nor a grid.

    Example:
        >>> print(crild.status(run="runs/tweets"))
    """
    whole = configure(StatusConfig, config, options)
    if not whole.run:
        raise CrildError("the folder is missing: crild status RUN")
    folder = Path(whole.run).expanduser()
    if not folder.is_dir():
        raise CrildError(f"no such folder: {whole.run}")
    if (folder / GRID).exists():
        found = status_of_grid(folder)
        return replace(found, frontier=frontier_in(folder)) if (folder / UNTRAINED).exists() else found
    if not (folder / CONFIG).exists() and not all(passing(each) for each in folder.iterdir()):
        inside = sorted(each.parent.name for each in folder.glob(f"*/{CONFIG}"))
        hint = f"; it holds the runs {', '.join(inside)}: ask for one of them" if inside else ""
        raise CrildError(f"{whole.run}: the folder holds no crild run, grid or frontier{hint}")
    return status_of(folder)


def frontier_in(folder: Path) -> dict[str, Any]:
    """Return how far a search for the fastest student is."""
    served = sorted(each.parent.name for each in folder.glob("served/*/export.json"))
    timed = [each["name"] for each in read(folder / UNTRAINED).get("known", [])]
    return {"untrained": timed, "served": served, "fastest": read(folder / FOUND).get("fastest")}
