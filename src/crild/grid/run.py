"""`compare`: run every cell of a grid, each in its own run directory, and write one table."""

import json
import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from transformers import PreTrainedTokenizerBase

from crild.console import about, say, warn
from crild.files import check_folder, room_in, write_whole
from crild.grid.cells import Outcome, facts_of
from crild.grid.noise import noise_of
from crild.grid.page import write_all
from crild.grid.space import spelled
from crild.grid.spec import CONTROL, GRID, RESULTS, Cell, Grid, Tuning, as_values, cells, make_grid, read_grid, select
from crild.grid.table import Summary, summarise
from crild.grid.tuning import check_tuning, done_before, left_out, minutes_of, refuse_another, with_settings
from crild.grid.workers import Pool, open_pool, share_threads
from crild.processes import refuse_several
from crild.randomness import own_random_state
from crild.run.objects import described, exchanged, on_disk, option_of

MOST_PLANNED = 2  # runs whose time is estimated by timing some steps


@own_random_state()
def compare(
    grid: str | os.PathLike[str] | Mapping[str, Any],
    output: str | os.PathLike[str],
    workers: str | int = 1,
    address: str | None = None,
    only: str | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Summary:
    """Run a grid of methods x tasks x conditions x seeds, or go on with it; write its table.

    A finished run is never repeated, an interrupted one goes on from its last checkpoint, a failed one is reported in
    the table, does not stop the rest, and is tried again when the grid is started again.

    Args:
        grid: a YAML file, or its contents (see `crild.grid.spec.Grid`); in these, data may be a pandas ``DataFrame``, a
            ``Dataset`` or a ``DatasetDict``, and a teacher, base or student a transformers model, as in
            `crild.distill`.
        output: folder of the grid: ``teachers/``, ``runs/``, ``results.json`` and the table in every format.
        workers: local processes, or ``ray``.
        address: of a running Ray cluster; a local one is started without it.
        only: a part of the grid: runs whose name (``task, condition, method, seed N``) fits this; ``*`` is any text.
            The table shows them and all that was finished before.
        tokenizer: of the models that are given as objects.

    Returns:
        The table, as data.

    Raises:
        CrildError: the grid cannot be run; nothing was written.

    Example:
        >>> crild.compare("experiments/smoke.yaml", output="grids/smoke", workers=2)
    """
    refuse_several("crild.compare")
    folder = check_folder(os.fspath(output) if output else None, GRID, "grid").resolve()
    if not isinstance(grid, Mapping):
        return run_grid(read_grid(os.fspath(grid)), folder, workers, address, only)
    objects: dict[str, Any] = {}

    def describe(name: str, value: Any) -> str:
        objects[name] = value
        return described(option_of(name), value)

    make_grid(exchanged(grid, describe))  # its other entries are checked before anything is written
    with on_disk(objects, tokenizer, folder, GRID) as (paths, _):
        chosen = make_grid(exchanged(grid, lambda name, _: paths[name]))
        return run_grid(chosen, folder, workers, address, only)


def run_grid(grid: Grid, folder: Path, workers: str | int, address: str | None, only: str | None) -> Summary:
    """Run a grid in its folder; see `compare`."""
    whole = cells(grid)
    todo = select(whole, only)
    check_tuning(grid, todo)
    for cell in whole:
        refuse_another(folder, cell)
    threads = grid.threads or share_threads(workers)
    with closing(open_pool(workers, threads, address)) as pool, room_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / GRID, yaml.safe_dump(as_values(grid), sort_keys=False, allow_unicode=True))
        outcomes = run_all(folder, grid, todo, pool)
    for cell in whole:  # a part of the grid joins what other parts have finished
        if cell.folder not in outcomes and (before := done_before(folder, cell)) is not None:
            outcomes[cell.folder] = before
    with room_in(folder):
        return write_results(folder, grid, [cell for cell in whole if cell.folder in outcomes], outcomes)


def run_all(folder: Path, grid: Grid, todo: list[Cell], pool: Pool) -> dict[str, Outcome]:
    """Run what each job needs, then the job; return each one's outcome by its folder.

    First the teachers for tuning; then, where these have learned something, the tunings, and the other teachers beside
    them; then the students of those that are there, with the settings that were found.
    """
    outcomes: dict[str, Outcome] = {}
    waiting = []
    for cell in todo:
        if (before := done_before(folder, cell)) is not None:
            outcomes[cell.folder] = before
        else:
            waiting.append(cell)
    say(f"{len(todo)} runs, {len(outcomes)} finished before, {len(waiting)} to do")
    announce_time(folder, waiting, outcomes, pool)

    def take_outcome(cell: Cell, outcome: Outcome) -> None:
        outcomes[cell.folder] = outcome
        if outcome.error is not None:
            warn(f"{cell.name}: failed: {outcome.error}")
        else:
            left = sum(each.folder not in outcomes for each in waiting)
            result = outcome.result or {}
            say(f"{cell.name}: {told(cell, result)} ({result['minutes']:.1f} minutes; {left} runs left)")

    def run_those(jobs: list[Cell]) -> None:
        ready = []
        for cell in jobs:
            needs = {"teacher": cell.teacher, "tuning": cell.tuning}
            failed = [(what, outcomes[f].error) for what, f in needs.items() if f in outcomes and outcomes[f].error]
            if failed:
                take_outcome(cell, Outcome(error="its {} failed: {}".format(*failed[0])))
            else:
                ready.append((with_settings(folder, cell), grid.keep_weights))
        pool.run(folder, ready, take_outcome)

    run_those([cell for cell in waiting if cell.method == "teacher" and cell.held_out])
    out = {(each.task, each.condition): each for each in left_out(todo, outcomes)}
    for each in out.values():
        warn(each.sentence)
    unwanted = {cell.folder for cell in todo if cell.method != "teacher" and (cell.task, cell.condition) in out}
    wanted = {cell.teacher for cell in todo if cell.folder not in unwanted}
    unwanted |= {cell.teacher for cell in todo if cell.teacher is not None} - wanted
    waiting = [cell for cell in waiting if cell.folder not in unwanted and cell.folder not in outcomes]
    run_those([cell for cell in waiting if cell.method == "teacher" or isinstance(cell, Tuning)])
    run_those([cell for cell in waiting if cell.folder not in outcomes])
    return outcomes


def told(cell: Cell, result: Mapping[str, Any]) -> str:
    """Return what came out of a job."""
    if isinstance(cell, Tuning):
        return f"{result['score']:.4f} on held-out rows with {spelled(result['settings'])}"
    return f"{result['teacher' if cell.method == 'teacher' else 'student']['score']:.4f}"


def announce_time(folder: Path, waiting: list[Cell], outcomes: Mapping[str, Outcome], pool: Pool) -> None:
    """Print about how long the grid takes: from finished runs of the same method, else from a plan of one such run.

    A trial of a tuning takes as long as a run; some are ended early.
    """
    known: dict[tuple[str, str, str], float] = {}
    total, planned = 0.0, 0
    for cell in sorted(waiting, key=lambda cell: not isinstance(cell, Tuning)):  # of these there is most to do
        key = (cell.task, cell.condition, cell.method)
        if key not in known:
            if (minutes := measured_minutes(cell, outcomes)) is not None:
                known[key] = minutes
            elif planned < MOST_PLANNED:
                say(f"reading the data of {cell.name} and timing some steps, to tell how long the grid takes")
                known[key], planned = minutes_of(folder, cell), planned + 1
            else:  # planning takes seconds each: the rest are taken for the mean of what is known
                known[key] = sum(known.values()) / len(known)
        total += known[key] * (cell.tune.trials if isinstance(cell, Tuning) else 1)
    if waiting:
        say(f"{about(total / pool.size)} with {pool.size} worker{'s' if pool.size > 1 else ''}")


def measured_minutes(cell: Cell, outcomes: Mapping[str, Outcome]) -> float | None:
    """Return the mean of finished runs that differ from a run in the seed alone, or of the trials before it."""
    if cell.method == "teacher" or isinstance(cell, Tuning):
        return None
    place = cell.folder.rsplit("/", 1)[0]
    alike = [o.result["minutes"] for f, o in outcomes.items() if o.result and f.rsplit("/", 1)[0] == place]
    tuning = outcomes.get(cell.tuning or "", Outcome()).result
    if not alike and tuning is not None:
        return float(tuning["minutes"]) / len(tuning["trials"])
    return sum(alike) / len(alike) if alike else None


def record(cell: Cell, outcome: Outcome) -> dict[str, Any]:
    """Return what the table needs of a run."""
    out: dict[str, Any] = {
        "task": cell.task,
        "condition": cell.condition,
        "method": cell.method,
        "seed": cell.seed,
        "control": cell.options.get("method") == CONTROL,
        "folder": cell.folder,
        "status": "failed" if outcome.error is not None else "done",
        "error": outcome.error,
        "started": outcome.started,
    }
    if outcome.result is not None:
        who = outcome.result["teacher" if cell.method == "teacher" else "student"]
        out |= {
            "metric": outcome.result["metric"],
            "score": who["score"],
            "constant": (outcome.result.get("constant") or {}).get("score"),
            "best_validation": who.get("best_validation"),
            "minutes": outcome.result["minutes"],
            "parameters": who.get("parameters"),
            "latency_ms": who.get("latency_ms"),
        }
    return out


def teacher_records(todo: list[Cell], outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    """Return a teacher's record for each task and condition that its students stand in, and a ready-made one's too.

    A teacher that has no student (yet) stands in its own.
    """
    by_folder = {cell.folder: record(cell, outcomes[cell.folder]) for cell in todo if cell.method == "teacher"}
    out = {}
    for cell in todo:
        if cell.method == "teacher":
            continue
        place = {"task": cell.task, "condition": cell.condition}
        result = outcomes[cell.folder].result
        if cell.teacher is not None:
            out[cell.task, cell.condition, cell.teacher] = by_folder[cell.teacher] | place
        elif result is not None:
            scores = {k: result["teacher"].get(k) for k in ("score", "parameters", "latency_ms")}
            scores["constant"] = (result.get("constant") or {}).get("score")
            ready = {"method": "teacher", "seed": 0, "control": False, "status": "done", "error": None}
            out[cell.task, cell.condition, ""] = {**place, **ready, **scores, "metric": result["metric"]}
    taught = {cell.teacher for cell in todo}
    return [*out.values(), *(alone for folder, alone in by_folder.items() if folder not in taught)]


def machines_of(folder: Path, todo: list[Cell]) -> list[dict[str, Any]]:
    """Return the machines and versions of runs that were started, each once."""
    out: list[dict[str, Any]] = []
    for cell in todo:
        if (facts := facts_of(folder, cell)) is not None:
            machine = {"machine": facts["machine"], "versions": facts["versions"]}
            if machine not in out:
                out.append(machine)
    return out


def tuning_record(tuning: Tuning, outcome: Outcome) -> dict[str, Any]:
    """Return what a tuning found, and what that cost."""
    result = outcome.result or {}
    return {
        "task": tuning.task,
        "condition": tuning.condition,
        "method": tuning.method,
        "error": outcome.error,
        "trials": tuning.tune.trials,
        **{name: result.get(name) for name in ("pruned", "minutes", "score", "settings")},
    }


def write_results(folder: Path, grid: Grid, todo: list[Cell], outcomes: Mapping[str, Outcome]) -> Summary:
    """Write ``results.json`` and the table in every format; return the table."""
    runs = [cell for cell in todo if not cell.held_out]
    students = [record(cell, outcomes[cell.folder]) for cell in runs if cell.method != "teacher"]
    rows = teacher_records(runs, outcomes) + students
    methods = [name for name in grid.methods if any(cell.method == name for cell in runs)]
    machines = machines_of(folder, runs)
    contents: dict[str, Any] = {
        "claim": grid.claim, "reference": grid.baseline, "methods": methods, "machines": machines, "runs": rows
    }  # fmt: skip
    tuned: list[dict[str, Any]] = []
    out = [vars(each) | {"why": each.sentence} for each in left_out(cells(grid), outcomes)]
    if grid.tune is not None:
        tuned = [tuning_record(cell, outcomes[cell.folder]) for cell in todo if isinstance(cell, Tuning)]
        contents |= {"tuning": tuned, "left_out": out}
    write_whole(folder / RESULTS, json.dumps(contents, indent=1) + "\n")
    summary = summarise(rows, grid.claim, grid.baseline, methods, tuned, out)
    write_all(summary, folder, noise_of(students, folder))
    return summary
