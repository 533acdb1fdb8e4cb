"""One run of a grid: from a `Cell` to a finished run directory."""

import io
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from crild.config import DistillConfig, FinetuneConfig, as_dict, build
from crild.console import into
from crild.errors import CrildError, InUse
from crild.grid.spec import Cell, log_of
from crild.run import start
from crild.run.folder import RunFolder
from crild.run.identity import Identity, names_files


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
    """Return the run's configuration inside a grid's folder, as the grid says it."""
    options = {name: absolute(name, value) for name, value in cell.options.items()}
    options["output"] = str(root / cell.folder)
    if cell.method == "teacher":
        return build(FinetuneConfig, options)
    if cell.teacher is not None:
        options["teacher"] = str(root / cell.teacher / "teacher")
    return build(DistillConfig, options | {"cache": str(root / "cache")})


def absolute(name: str, value: Any) -> Any:
    """Return an option's value; a path that exists is made absolute, for a worker may start elsewhere."""
    if names_files(name, value) and (path := Path(value).expanduser()).exists():
        return str(path.resolve())
    return value


def run_cell(
    root: str,
    cell: Cell,
    keep_weights: bool,
    callbacks: Sequence[TrainerCallback] = (),
    lets_through: tuple[type[Exception], ...] = (),
    measured: bool = True,
    log: Path | None = None,
) -> Outcome:
    """Run a cell, or go on with it; whatever goes wrong is its outcome, with a traceback in the grid's ``logs/``.

    Args:
        root: the grid's folder.
        cell: the run.
        keep_weights: of the student.
        callbacks, measured: as in `crild.run.start.run`.
        lets_through: exceptions of the callbacks' that are not the run's outcome, but the caller's.
        log: where its output goes, if not where `log_of` says.

    Raises:
        InUse: another process works on it.
    """
    folder = Path(root)
    log = log or log_of(folder, cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file, into(file):
        try:
            config = configure(folder, cell)
            start.run(config, timed=False, may_idle=cell.shared, callbacks=callbacks, measured=measured)
            if cell.method != "teacher" and not keep_weights:
                RunFolder(folder / cell.folder).drop_weights()
        except InUse:
            raise
        except lets_through:
            raise
        except CrildError as error:
            print(f"crild: error: {error}", file=file)
            return Outcome(error=" ".join(str(error).split()))
        except Exception as error:  # a run that fails must not stop the others
            traceback.print_exc(file=file)
            return Outcome(error=f"{one_line(error)} (see {log})")
    done = finished(folder, cell)
    return done if done is not None else Outcome(error=f"no result was written (see {log})")


def one_line(error: BaseException) -> str:
    """Return an exception's kind and message on one line that a table can hold."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def refuse_another_run(root: Path, cell: Cell) -> None:
    """Refuse to take another run's numbers for this cell's; a folder that was moved holds the same runs.

    Raises:
        CrildError: the cell's folder holds a run with other options, on other data or of another teacher.
    """
    run = RunFolder(root / cell.folder)
    if not run.is_started:
        return
    identity = Identity.of(start.resolve(configure(root, cell)))
    if difference := identity.difference(run.identity(identity)):
        raise CrildError(f"{run.path} holds a run with other options ({difference}): choose another --output")


def finished(root: Path, cell: Cell) -> Outcome | None:
    """Return the outcome of a run that is finished, or ``None``."""
    run = RunFolder(root / cell.folder)
    return Outcome(result=run.result.to_dict(), started=run.facts.get("started")) if run.is_finished else None


def facts_of(root: Path, cell: Cell) -> dict[str, Any] | None:
    """Return when and on what machine a run was started; ``None`` if it never was."""
    run = RunFolder(root / cell.folder)
    return run.facts if run.is_started else None


def planned_minutes(root: Path, cell: Cell) -> float:
    """Return about how many minutes a run takes, from its plan and a few timed steps; 0 where it cannot start."""
    config = replace(configure(root, cell), output=str(root / "planned"))
    if cell.teacher is not None and not (root / cell.teacher / "teacher").exists():
        config = build(
            DistillConfig, as_dict(config) | {"teacher": config.base}
        )  # not trained yet: its encoder takes as long
    try:
        with into(io.StringIO()):
            minutes = start.planned_minutes(config, may_idle=cell.shared)
    except CrildError:
        return 0.0  # it will say why when its turn comes
    return sum(value for stage, value in minutes.items() if cell.teacher is None or stage != "teacher")
