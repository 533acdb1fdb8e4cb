"""One run of a grid: from a `Cell` to a finished run directory."""

import io
import json
import re
import shutil
import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from crild.config import DistillConfig, FinetuneConfig, build, with_defaults
from crild.console import into
from crild.errors import CrildError
from crild.grid.spec import Cell, slug
from crild.pipeline import execute
from crild.preparation import Run, announce, estimate_minutes, identity, prepare, resolve
from crild.run.identity import by_content, names_files
from crild.rundir import CONFIG, FACTS, RESULT, write_whole

IDLE = re.compile(r"--(supplementary-mode first|[a-z-]+) would do nothing with ")


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


def run_cell(root: str, cell: Cell, keep_weights: bool) -> Outcome:
    """Run a cell, or go on with it; whatever goes wrong is its outcome, with a traceback in the grid's ``logs/``."""
    folder = Path(root)
    log = log_of(folder, cell)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file, into(file):
        try:
            config = configure(folder, cell)
            run = prepare_what_acts(config, cell.shared)
            remember(folder, cell, config)
            announce(run, timed=False)
            execute(run)
            if cell.method != "teacher" and not keep_weights:
                drop_weights(folder / cell.folder)
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


def log_of(root: Path, cell: Cell) -> Path:
    """Return the file that a run's output goes to; it is there as soon as a worker has taken the run."""
    return root / "logs" / f"{slug(cell.folder)}.log"


# Whose numbers a folder holds. The grid keeps for every run that it starts what the grid said of it, files by their
# contents: what the run made of that (options that do nothing with its method are left out) is the run's own affair.


def identity_file(root: Path, cell: Cell) -> Path:
    """Return the file that keeps what a started run is."""
    return root / "identities" / f"{slug(cell.folder)}.json"


def identify(config: DistillConfig | FinetuneConfig) -> dict[str, Any]:
    """Return what makes a run this run: its options, with what files hold in place of their names."""
    return by_content(identity(resolve(config)))


def remember(root: Path, cell: Cell, config: DistillConfig | FinetuneConfig) -> None:
    """Keep what a run is, before its first start."""
    if started_as(root, cell) is None:
        file = identity_file(root, cell)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(identify(config), indent=1) + "\n")


def refuse_another_run(root: Path, cell: Cell) -> None:
    """Refuse to take another run's numbers for this cell's; a folder that was moved holds the same runs.

    Raises:
        CrildError: the cell's folder holds a run with other options, on other data or of another teacher.
    """
    there = started_as(root, cell)
    if there is None:
        return
    config = configure(root, cell)
    here = identify(config)
    there = with_defaults(there, here)
    for name, value in here.items():
        if value == there[name]:
            continue
        given = getattr(config, name)
        if names_files(name, given):
            gone = Path(given).is_absolute() and not Path(given).exists()
            what = f"{name}: {given} {'is not there' if gone else 'is not what that run read'}"
        else:
            before = "a file" if names_files(name, there[name]) else repr(there[name])
            what = f"{name}: {before} there, {value!r} in this grid"
        raise CrildError(f"{root / cell.folder} holds a run with other options ({what}): choose another --output")


# All that a grid asks of a single run.


def prepare_what_acts(config: DistillConfig | FinetuneConfig, shared: Collection[str]) -> Run:
    """Prepare a run without those shared options that do nothing with its method.

    Args:
        config: of the run.
        shared: the options that may be left out; any other that does nothing is refused.

    Raises:
        CrildError: the run cannot work.
    """
    droppable = set(shared)
    while True:
        try:
            return prepare(config)
        except CrildError as error:
            refused = IDLE.match(str(error))
            if refused is None:
                raise
            # With mode `first` it is the texts that a method without an own stage does not look at.
            texts = refused[1] == "supplementary-mode first"
            named = "supplementary" if texts else refused[1].replace("-", "_")
            if named not in droppable:
                raise
            idle = {named, "supplementary_mode"} & droppable if texts else {named}
            droppable -= idle
            config = replace(config, **{name: getattr(DistillConfig, name) for name in idle})


def finished(root: Path, cell: Cell) -> Outcome | None:
    """Return the outcome of a run that is finished, or ``None``."""
    result = root / cell.folder / RESULT
    if not result.exists():
        return None
    facts = facts_of(root, cell) or {}
    return Outcome(result=json.loads(result.read_text(encoding="utf-8")), started=facts.get("started"))


def facts_of(root: Path, cell: Cell) -> dict[str, Any] | None:
    """Return when and on what machine a run was started; ``None`` if it never was."""
    path = root / cell.folder / FACTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def started_as(root: Path, cell: Cell) -> dict[str, Any] | None:
    """Return what the run in a cell's folder is, files by their contents; ``None`` if none was started."""
    file, options = identity_file(root, cell), root / cell.folder / CONFIG
    if not options.exists():
        return None
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    return by_content(yaml.safe_load(options.read_text(encoding="utf-8")))  # of a version that kept no identities


def drop_weights(folder: Path) -> None:
    """Delete a finished run's weights; scores, logs and configuration stay."""
    for name in ("student", "control"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for weights in folder.glob("stages/*/*.safetensors"):
        weights.unlink()


def planned_minutes(root: Path, cell: Cell) -> float:
    """Return about how many minutes a run takes, from its plan and a few timed steps; 0 where it cannot start."""
    config = configure(root, cell)
    if isinstance(config, DistillConfig) and cell.teacher is not None and not Path(str(config.teacher)).exists():
        config = replace(config, teacher=config.base)  # not trained yet: its encoder takes as long
    try:
        with into(io.StringIO()):
            run = prepare_what_acts(replace(config, output=str(root / "planned")), cell.shared)
    except CrildError:
        return 0.0  # it will say why when its turn comes
    if cell.teacher is not None:
        run.stages = [stage for stage in run.stages if stage.trains != "teacher"]
    return estimate_minutes(run)
