"""One run of a grid: from a `Cell` to a finished run directory."""

import io
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from crild.config import DistillConfig, FinetuneConfig, build
from crild.console import into
from crild.demo import encoder, settings, write_data
from crild.errors import CrildError
from crild.files import write_folder
from crild.grid.spec import Cell, slug
from crild.run import start
from crild.run.folder import RunFolder
from crild.run.identity import Identity

PATHS = ("data", "validation", "supplementary", "base", "teacher", "plugin")
# The encoder, tweets and further texts of `crild demo`, by one name: demo, or demo:1200 for as many tweets to score on.
DEMO = re.compile(r"demo(?::([1-9]\d*))?")
DEMO_ROWS = 200  # a grid scores many models


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its result, or one line on why it failed.

    Attributes:
        result: contents of ``result.json``.
        error: why it failed.
        started: when the run was first started.
    """

    result: Mapping[str, Any] | None = None
    error: str | None = None
    started: str | None = None


def configure(root: Path, cell: Cell) -> DistillConfig | FinetuneConfig:
    """Return the run's configuration inside a grid's folder."""
    options = {k: place(root, k, v) for k, v in cell.options.items()} | {"output": str(root / cell.folder)}
    if cell.method == "teacher":
        return build(FinetuneConfig, options)
    if cell.teacher is not None:
        options["teacher"] = str(root / cell.teacher / "teacher")
    return build(DistillConfig, options | {"cache": str(root / "cache")})


def place(root: Path, name: str, value: Any) -> Any:
    """Return an option's value; a path is made absolute, for a worker may start elsewhere, and ``demo`` is found."""
    if name not in PATHS or not isinstance(value, str):
        return value
    if DEMO.fullmatch(value):
        data = demo_folder(root, value)
        return str({"data": data, "supplementary": data / "unlabelled.jsonl"}.get(name) or encoder())
    return str(Path(value).expanduser().resolve()) if Path(value).expanduser().exists() else value


def demo_folder(root: Path, name: str) -> Path:
    """Return where the demo's tweets of this name are in a grid's folder."""
    return root / "data" / name.replace(":", "-")


def write_demo(root: Path, cells: list[Cell]) -> None:
    """Write the demo's tweets into the grid's folder, if a run wants them."""
    wanted = {str(cell.options.get(option)) for cell in cells for option in ("data", "supplementary")}
    for name in sorted(wanted):
        found = DEMO.fullmatch(name)
        if found and not demo_folder(root, name).exists():
            rows = settings()["rows"] | {"held_out": int(found[1] or DEMO_ROWS)}
            write_folder(demo_folder(root, name), partial(write_data, values={"rows": rows}))


def run_cell(root: str, cell: Cell, keep_weights: bool) -> Outcome:
    """Run a cell, or go on with it; whatever goes wrong is its outcome, with a traceback in the grid's ``logs/``."""
    folder = Path(root)
    log = log_of(folder, cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file, into(file):
        try:
            config = configure(folder, cell)
            start.run(config, timed=False)
            if cell.method != "teacher" and not keep_weights:
                RunFolder(folder / cell.folder).drop_weights()
        except CrildError as error:
            print(f"crild: error: {error}", file=file)
            return Outcome(error=" ".join(str(error).split()))
        except Exception as error:  # a run that fails must not stop the others
            traceback.print_exc(file=file)
            return Outcome(error=f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (see {log})")
    done = finished(folder, cell)
    return done if done is not None else Outcome(error=f"no result was written (see {log})")


def log_of(root: Path, cell: Cell) -> Path:
    """Return the file that a run's output goes to; it is there as soon as a worker has taken the run."""
    return root / "logs" / f"{slug(cell.folder)}.log"


def finished(root: Path, cell: Cell) -> Outcome | None:
    """Return the outcome of a run that is finished, or ``None``.

    Raises:
        CrildError: the folder holds a run with other options.
    """
    run = RunFolder(root / cell.folder)
    config = start.resolve(configure(root, cell))
    run.refuse_another(Identity.of(config))
    if not run.is_finished:
        return None
    return Outcome(result=run.result.to_dict(), started=run.facts.get("started"))


def planned_minutes(root: Path, cell: Cell) -> float:
    """Return about how many minutes a run takes, from its plan and a few timed steps; 0 where it cannot start."""
    config = configure(root, cell)
    if isinstance(config, DistillConfig) and cell.teacher is not None and not Path(str(config.teacher)).exists():
        config = replace(config, teacher=config.base)  # not trained yet: its encoder takes as long
    try:
        with into(io.StringIO()):
            minutes = start.planned_minutes(replace(config, output=str(root / "planned")))
    except CrildError:
        return 0.0  # it will say why when its turn comes
    return sum(value for stage, value in minutes.items() if cell.teacher is None or stage != "teacher")
