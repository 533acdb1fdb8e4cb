"""How far a grid is, and each of its runs, from their files alone."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crild.console import about
from crild.files import MEGABYTE
from crild.grid.spec import GRID, RESULTS, TRIALS, Cell, Tuning, cells, log_of, read_grid
from crild.run.folder import HOLDER
from crild.run.status import Status, bytes_in, read, state_of, status_of

STATES = ("finished", "running", "killed", "interrupted", "failed", "not started")
COMPLAINT = "crild: error: "
ANY = ""  # method


@dataclass(frozen=True)
class GridStatus:
    """How far a grid is.

    Attributes:
        path: its folder.
        runs: each run by name; a search for settings (``tune``) counts as one.
        errors: why runs failed, by name; they are tried again when the grid is started again.
        minutes: spent, by all runs together.
        minutes_left: about how many; ``None`` where nothing tells.
        bytes: on disk.
        frontier: of a search for the fastest student: ``untrained`` students that were timed, those that are
            ``served``, and the ``fastest`` that is good enough, once it is known; ``None`` of another grid.
    """

    path: str
    runs: dict[str, Status]
    errors: dict[str, str]
    minutes: float
    minutes_left: float | None
    bytes: int
    frontier: dict[str, Any] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        found = Counter(run.state for run in self.runs.values())
        return {state: found[state] for state in STATES if found[state]}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        kind = "grid" if self.frontier is None else "frontier"
        runs = {name: run.to_dict() | {"error": self.errors.get(name)} for name, run in self.runs.items()}
        return {"kind": kind} | vars(self) | {"counts": self.counts, "runs": runs}

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items())
        out = [f"{self.path}: {len(self.runs)} runs: {counts}"]
        for name, run in self.runs.items():
            if run.state not in ("finished", "not started"):
                more = self.errors.get(name) or ", ".join(filter(None, (run.heading.partition(", ")[2], run.place)))
                out.append(f"  {name}: {run.state}" + (f": {more}" if more else ""))
        left = f", {about(self.minutes_left)} left" if self.minutes_left else ""
        out.append(f"time     {self.minutes:.1f} minutes spent by all runs{left}")
        if self.frontier is not None:
            served = ", ".join(self.frontier["served"]) or "none yet"
            out.append(f"served   {served} (of {len(self.frontier['untrained'])} students)")
            out.append(f"fastest  {self.frontier['fastest'] or 'not known yet'}")
        return "\n".join([*out, f"disk     {self.bytes / MEGABYTE:.1f} MB"])


def status_of_grid(folder: Path) -> GridStatus:
    """Return how far a grid is.

    Raises:
        CrildError: its ``grid.yaml`` cannot be read.
    """
    listed = cells(read_grid(str(folder / GRID)))
    reported = {each.get("folder"): each.get("error") for each in read(folder / RESULTS).get("runs", [])}
    runs, errors = {}, {}
    for cell in listed:
        status = status_of_cell(folder, cell)
        error = None
        if status.state in ("interrupted", "not started"):
            error = reported.get(cell.folder) or last_complaint(log_of(folder, cell))
        if error:
            status, errors[cell.name] = replace(status, state="failed"), error
        runs[cell.name] = status
    return GridStatus(
        str(folder),
        runs,
        errors,
        sum(run.minutes for run in runs.values()),
        minutes_left(listed, runs),
        bytes_in(folder),
    )


def status_of_cell(folder: Path, cell: Cell) -> Status:
    """Return how far one job of a grid is."""
    path = folder / cell.folder
    if not isinstance(cell, Tuning):
        return status_of(path, disk=False)
    if found := read(path / TRIALS):
        return Status(str(path), "finished", share=1.0, minutes=found["minutes"], score=found["score"])
    holder = read(path / HOLDER)
    state = state_of(path, holder)
    if state == "not started" and path.exists():
        state = "killed" if holder else "interrupted"
    return Status(str(path), state, process=holder.get("process"), since=holder.get("started"))


def minutes_left(listed: list[Cell], runs: dict[str, Status]) -> float | None:
    """Return about how long a grid takes to its end: each job as long as finished ones like it."""
    took: dict[tuple[bool, str], list[float]] = {}
    for cell in listed:
        if runs[cell.name].state == "finished":
            for alike in (cell.method, ANY):
                took.setdefault((isinstance(cell, Tuning), alike), []).append(runs[cell.name].minutes)
    left = 0.0
    for cell in listed:
        run, kind = runs[cell.name], isinstance(cell, Tuning)
        known = took.get((kind, cell.method)) or took.get((kind, ANY))
        if run.state != "finished":
            if run.minutes_left is None and known is None:
                return None
            left += sum(known) / len(known) if run.minutes_left is None and known else run.minutes_left or 0.0
    return left / max(1, sum(run.state == "running" for run in runs.values()))


def last_complaint(log: Path) -> str | None:
    """Return the error that a run's log ends in; ``None`` where it ends in none."""
    try:
        last = next(reversed(log.read_text(encoding="utf-8", errors="replace").splitlines()), "")
    except OSError:
        return None
    return last.removeprefix(COMPLAINT) if last.startswith(COMPLAINT) else None
