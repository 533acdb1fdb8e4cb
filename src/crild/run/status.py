"""How far a run is, from its files alone: nothing is locked, loaded or written."""

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from crild.checkpoints import checkpoints, flaw, step_of
from crild.console import about
from crild.files import MEGABYTE, StageFolder
from crild.run.folder import CONFIG, FACTS, HOLDER, PLAN, RESULT, SECONDS

ESTIMATED_FROM = 0.02  # share of a run that says how long the rest takes
TAIL = 100_000  # bytes: more than the last line of a log
SLACK = 5.0  # seconds by which clocks may differ


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        path: its folder.
        state: ``not started``, ``running``, ``killed``, ``interrupted`` (it ended with a message) or ``finished``.
        process: that runs it, or that was killed.
        since: when that began.
        host: of the process, where it is not this one: whether it still runs cannot be seen from here.
        stage: its title.
        number: of the stage, from 1.
        stages: how many there are.
        step: of the stage, as far as its log goes.
        steps: of the stage.
        resumes: the step that the stage goes on from, where it is started again.
        checkpoint: the folder that holds it, inside the run's; ``None`` where the stage begins anew.
        share: of the whole run that is done and kept.
        minutes: spent, of all starts together.
        minutes_left: about how many; ``None`` where nothing tells.
        score: the last one on the selection rows; of a finished run the student's (or teacher's) on validation.
        metric: of a finished run's score.
        bytes: on disk.
    """

    path: str
    state: str
    process: int | None = None
    since: str | None = None
    host: str | None = None
    stage: str | None = None
    number: int | None = None
    stages: int | None = None
    step: int | None = None
    steps: int | None = None
    resumes: int | None = None
    checkpoint: str | None = None
    share: float = 0.0
    minutes: float = 0.0
    minutes_left: float | None = None
    score: float | None = None
    metric: str | None = None
    bytes: int = field(default=0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"kind": "run", **asdict(self)}

    @property
    def place(self) -> str:
        """Where in its plan the run is."""
        return f"{self.stage} ({self.number} of {self.stages}), step {self.step} of {self.steps}" if self.stage else ""

    @property
    def heading(self) -> str:
        """The state in words."""
        who = f", process {self.process} since {self.since}" if self.process else ""
        who += f" on {self.host}, which cannot be seen from here" if self.host else ""
        return self.state + who

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.heading}"]
        if self.stage:
            lines.append(f"stage    {self.place}")
        if self.state in ("killed", "interrupted"):
            where = f"step {self.resumes} ({self.checkpoint})" if self.checkpoint else "the stage's beginning"
            lines.append(f"resumes  from {where if self.resumes != self.steps else 'the end of the stage'}")
        left = f", {about(self.minutes_left)} left" if self.minutes_left else ""
        if self.state != "not started":
            lines.append(f"time     {self.minutes:.1f} minutes spent{left}")
        if self.score is not None:
            on = self.metric or "on the selection rows, the last one"
            lines.append(f"score    {self.score:.4f} ({on})")
        return "\n".join([*lines, f"disk     {self.bytes / MEGABYTE:.1f} MB"])


def status_of(path: Path, disk: bool = True) -> Status:
    """Return how far a run is; of a folder without one that it is not started.

    Args:
        path: its folder.
        disk: count its bytes, which takes a look at every file.
    """
    result, holder = read(path / RESULT), read(path / HOLDER)
    state = "finished" if result else state_of(path, holder)
    known: dict[str, Any] = {"bytes": bytes_in(path) if disk else 0, "minutes": spent(path, holder, state)}
    if state in ("running", "killed"):
        known |= {"process": holder.get("process"), "since": holder.get("started")}
        known["host"] = holder["host"] if is_elsewhere(holder) else None
    if result:
        last = result.get("student") or result["teacher"]
        known |= {"share": 1.0, "minutes": result["minutes"], "score": last["score"], "metric": result["metric"]}
        return Status(str(path), state, **known)
    if state == "not started":
        return Status(str(path), state, **known)
    known |= progress_of(path, state)
    weights = read(path / FACTS).get("minutes") or {}
    if known.get("share", 0.0) > ESTIMATED_FROM:
        known["minutes_left"] = known["minutes"] * (1 / known["share"] - 1)
    elif weights:
        known["minutes_left"] = sum(weights.values()) * (1 - known.get("share", 0.0))
    return Status(str(path), state, **known)


def progress_of(path: Path, state: str) -> dict[str, Any]:
    """Return stage, steps, checkpoint, share and last score of a run that was started."""
    plan, minutes = read(path / PLAN).get("stages", []), read(path / FACTS).get("minutes") or {}
    folders = [StageFolder(path / "stages" / stage["name"]) for stage in plan]
    begun = [number for number, files in enumerate(folders) if files.path.exists()]
    if not begun:
        return {}
    number = begun[-1]  # what comes before it is done: a fold's folder may be missing, its logits were in a cache
    stage, files = plan[number], folders[number]
    whole = next((each for each in reversed(checkpoints(files.path)) if flaw(each, thorough=False) is None), None)
    kept = stage["steps"] if files.done.exists() else step_of(whole) if whole else 0
    logged = max(kept, *(last_line(log).get("step", 0) for log in (files.steps, files.history)))
    reached = logged if state == "running" else kept
    weight = [minutes.get(each["name"]) or each["steps"] for each in plan]
    if not minutes:
        total = sum(weight)
    else:
        total = sum(weight) + minutes.get("scoring", 0.0)
    done = sum(weight[:number]) + weight[number] * reached / max(1, stage["steps"])
    scores = [
        entry["score"] for each in reversed(folders) for entry in reversed(lines(each.history)) if "score" in entry
    ]
    return {
        "stage": stage["title"],
        "number": number + 1,
        "stages": len(plan),
        "step": logged,
        "steps": stage["steps"],
        "resumes": kept,
        "checkpoint": str(whole.relative_to(path)) if whole else None,
        "share": done / total if total else 0.0,
        "score": scores[0] if scores else None,
    }


# ---- who runs it ----


def state_of(path: Path, holder: Mapping[str, Any]) -> str:
    """Return the state of a run that is not finished."""
    if holder and (is_elsewhere(holder) or is_alive(holder)):
        return "running"
    if not (path / CONFIG).exists():
        return "not started"
    return "killed" if holder else "interrupted"


def is_elsewhere(holder: Mapping[str, Any]) -> bool:
    """Whether the process belongs to another machine."""
    return holder.get("host") not in (None, platform.node())


def is_alive(holder: Mapping[str, Any]) -> bool:
    """Whether the process that holds a run lives: that very one, not another that has its number by now."""
    try:
        process = psutil.Process(holder["process"])
        started = datetime.fromisoformat(holder["started"]).timestamp()
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= started + SLACK
    except (psutil.Error, KeyError, ValueError, TypeError):
        return False


def spent(path: Path, holder: Mapping[str, Any], state: str) -> float:
    """Return the minutes that a run took until now, or until it was last noted."""
    noted = read(path / SECONDS).get("seconds", 0.0)
    if state != "running":
        return float(noted) / 60
    began = datetime.fromisoformat(holder.get("started") or datetime.now(UTC).isoformat()).timestamp()
    last = (path / SECONDS).stat().st_mtime if (path / SECONDS).exists() else 0.0
    return (noted + max(0.0, time.time() - max(began, last))) / 60


# ---- files that may be half-written, or gone the next moment ----


def read(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file; an empty one where there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the last JSON objects of a file with one a line; a line that is being written is left out."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [entry for entry in found if isinstance(entry, dict)]


def last_line(path: Path) -> dict[str, Any]:
    """Return the last of them; an empty object where there is none."""
    return next(reversed(lines(path)), {})


def bytes_in(path: Path) -> int:
    """Return the bytes of all files in a folder."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # removed in the meantime
                continue
    return total
