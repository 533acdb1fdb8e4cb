"""A grid: methods x tasks x conditions x seeds, read from one YAML, and the runs that it stands for."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from crild.config import MOST_SEED, DistillConfig, FinetuneConfig, build, option_names, read_yaml, short
from crild.errors import CrildError, nearest
from crild.grid.space import Range, read_space
from crild.methods import find_method

CONTROL = "ft"
GRID, RESULTS, TRIALS = "grid.yaml", "results.json", "trials.json"  # in a grid's folder, in a tuning's
DECIDED_HERE = ("output", "seed", "data_seed", "control", "method", "cache")  # options that a grid sets itself
DECIDED_BY_TUNE = ("epochs", "max_steps", "ild_epochs", "ild_batch_size", "kd_epochs", "kd_batch_size")
SHARE = "stage_1_share"  # of all passes; searched beside options
THE_STUDENTS_TOO = ("finetune_learning_rate", "keep")  # of the options that a teacher knows
RENAMED = {"reference": "baseline"}


@dataclass(frozen=True, kw_only=True)
class Tune:
    """How every method of a grid is tuned, all alike.

    Attributes:
        trials: of each method, on each task under each condition.
        passes: over the texts, all stages of a student together; in the trials and in the runs that follow.
        batch_size: rows of a step, in every stage of a student: as many passes are as many steps.
        search: further options that are searched, or other ranges than the usual ones.
    """

    trials: int = 12
    passes: int = 20
    batch_size: int = 32
    search: Mapping[str, Range] = field(default_factory=dict)


@dataclass(kw_only=True)
class Grid:
    """What a grid file may say.

    Attributes:
        claim: the sentence that the grid tests.
        tasks: data by name: a path, or options such as ``{data: ..., validation: ...}``.
        methods: names of methods, or options by name: ``{no consistency: {method: cr-ild, consistency: 0}}``.
        conditions: options by name; ``full`` is plain data.
        seeds: of training.
        data_seeds: of rows, splits and flips; one for all seeds, or one for each.
        teacher_seeds: of the teacher's training; one for all seeds, or one for each.
        options: of every run, teachers included where they apply.
        baseline: the method that all others are compared with.
        keep_weights: keep the students' weights; else only scores and logs stay.
        threads: of each run, so that numbers do not depend on how many run at a time; default: the cores, shared out.
        tune: how the settings of every method are searched; without it they are those of the options.
    """

    claim: str = ""
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    conditions: dict[str, dict[str, Any]] = field(default_factory=lambda: {"full": {}})
    seeds: list[int] = field(default_factory=lambda: [42, 43, 44])
    data_seeds: list[int] = field(default_factory=lambda: [42])
    teacher_seeds: list[int] = field(default_factory=lambda: [42])
    options: dict[str, Any] = field(default_factory=dict)
    baseline: str = "cr-ild"
    keep_weights: bool = False
    threads: int | None = None
    tune: Tune | None = None


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        task, condition: names in the grid.
        method: its name in the grid; ``teacher`` for a teacher.
        seed: of training.
        folder: of its run directory, inside the grid's output.
        options: of the run, without ``output``.
        teacher: the folder of the teacher's run; ``None`` for teachers, and where a fine-tuned teacher is given.
        shared: names of the options that may do nothing in this run, for they are not the method's own: they come from
            its task, its condition or the whole grid, or are for the teacher that is fine-tuned apart.
        tuning: the folder of the tuning that finds the rest of its options; ``None`` where nothing is tuned.
        held_out: its rows to score on are held out of the training rows: it is for tuning alone.
    """

    task: str
    condition: str
    method: str
    seed: int
    folder: str
    options: Mapping[str, Any]
    teacher: str | None = None
    shared: frozenset[str] = frozenset()
    tuning: str | None = None
    held_out: bool = False

    @property
    def name(self) -> str:
        """What a log calls it."""
        kind = f"{self.method} for tuning" if self.held_out else self.method
        return run_name(self.task, self.condition, kind, self.seed)


@dataclass(frozen=True)
class Tuning(Cell):
    """The search for one method's settings on one task under one condition: trials, one after the other.

    Its ``options`` are those of every trial, but for what the trial tries; its rows are held out.

    Attributes:
        tune: how, the same for all methods.
        pinned: options that are not searched, for the grid says them.
    """

    tune: Tune = field(default_factory=Tune)
    pinned: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What a log calls it."""
        return f"{self.task}, {self.condition}, {self.method}, tuning"


T = TypeVar("T", bound=Cell)


def run_name(task: str, condition: str, method: str, seed: int) -> str:
    """Return what a log, ``--dry-run`` and ``--only`` call a run."""
    return f"{task}, {condition}, {method}, seed {seed}"


def read_grid(path: str) -> Grid:
    """Read a grid file.

    Raises:
        CrildError: an entry is unknown, or has the wrong form; the line says what is expected.
    """
    return make_grid(read_yaml(path), path)


def make_grid(values: Mapping[str, Any], where: str = "grid") -> Grid:
    """Return a grid from plain values, checked.

    Raises:
        CrildError: something is missing, unknown, or of the wrong form.
    """
    grid = Grid()
    known = [each.name for each in fields(Grid)]
    for name, value in values.items():
        if name not in known:
            hint = f" (did you mean {RENAMED[name]!r}?)" if name in RENAMED else nearest(name, known)
            raise CrildError(f"{where}: unknown entry {name!r}{hint}: a grid has {', '.join(sorted(known))}")
        if name in ("tasks", "methods", "conditions"):
            setattr(grid, name, options_by_name(value, f"{where}: {name}"))
        elif name in ("seeds", "data_seeds", "teacher_seeds"):
            setattr(grid, name, whole_numbers(value, f"{where}: {name}"))
        elif name == "options":
            if not isinstance(value, dict):
                raise CrildError(f"{where}: options holds lines of `option: value`")
            grid.options = {str(key).replace("-", "_"): v for key, v in value.items()}
        elif name in ("claim", "baseline"):
            setattr(grid, name, str(value))
        elif name == "keep_weights":
            grid.keep_weights = bool(value)
        elif name == "tune":
            grid.tune = None if value is None else read_tune(value, f"{where}: {name}")
        elif value is not None:
            grid.threads = whole_numbers(value, f"{where}: {name}", at_least=1)[0]
    if not grid.tasks:
        raise CrildError(f"{where}: no tasks: give a list of data folders or files")
    if not grid.methods:
        raise CrildError(f"{where}: no methods: give a list, see `crild methods`")
    for key, options in grid.tasks.items():
        options.setdefault("data", key)
    for key, options in grid.methods.items():
        find_method(str(options.setdefault("method", key)))
    if not any(options["method"] == CONTROL for options in grid.methods.values()):
        grid.methods[CONTROL] = {"method": CONTROL}  # the student without a teacher is always there
    if grid.tune is not None and "teacher_seeds" not in values:
        grid.teacher_seeds = list(grid.seeds)
    for name in ("data_seeds", "teacher_seeds"):
        if len(getattr(grid, name)) not in (1, len(grid.seeds)):
            raise CrildError(f"{where}: {name} has {len(getattr(grid, name))} entries: give one, or one for each seed")
    if grid.baseline not in grid.methods:
        grid.baseline = next(iter(grid.methods))
    if not (grid.options.get("base") or grid.options.get("teacher")):
        raise CrildError(f"{where}: options has neither base (an encoder) nor teacher (a fine-tuned classifier)")
    everywhere = [*grid.tasks.values(), *grid.methods.values(), *grid.conditions.values(), grid.options]
    for options in everywhere:
        for key in options:
            if key in DECIDED_HERE and not (key == "method" and options in grid.methods.values()):
                raise CrildError(f"{where}: {key} is decided by the grid; leave it out")
            if grid.tune is not None and key in DECIDED_BY_TUNE:
                raise CrildError(f"{where}: {key} is decided by tune (passes, batch_size); leave it out")
        build(DistillConfig, dict(options), where)
        if grid.tune is not None and options.get("validation") == "held-out":
            raise CrildError(
                f"{where}: tune scores its trials on held-out rows, on which the runs cannot be scored as well: leave "
                "validation out, or name data"
            )
    return grid


def as_values(grid: Grid) -> dict[str, Any]:
    """Return a grid as plain values, as `make_grid` takes them."""
    values = asdict(grid)
    if grid.tune is not None:
        ranges = {n: r if isinstance(r, list) else f"{r[0]!r}:{r[1]!r}" for n, r in grid.tune.search.items()}
        values["tune"]["search"] = ranges
    return values


def read_tune(value: Any, where: str) -> Tune:
    """Read a grid's entry ``tune``.

    Raises:
        CrildError: something in it is unknown, or has the wrong form.
    """
    known = [each.name for each in fields(Tune)]
    if not isinstance(value, dict):
        raise CrildError(f"{where}: give lines of `entry: value`; it has {', '.join(known)}")
    numbers: dict[str, int] = {}
    space: dict[str, Range] = {}
    for name, said in value.items():
        if name not in known:
            raise CrildError(f"{where}: unknown entry {name!r}{nearest(str(name), known)}: it has {', '.join(known)}")
        if name != "search":
            numbers[name] = whole_numbers(said, f"{where}: {name}", at_least=1)[0]
        elif not isinstance(said, dict):
            raise CrildError(f"{where}: search holds lines of `option: low:high` or `option: [values]`")
        else:
            space = read_space(said, f"{where}: search", more=(SHARE,))
    of_teacher = set(option_names(FinetuneConfig)) - set(THE_STUDENTS_TOO)
    for name in space:
        if name in (*DECIDED_HERE, *DECIDED_BY_TUNE) or name in of_teacher or name == "teacher":
            raise CrildError(f"{where}: search: {name} is not searched: all methods of a grid have the same data, "
                             "teachers and passes")  # fmt: skip
    for share in space.get(SHARE, []):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise CrildError(f"{where}: search: {SHARE}: {share!r} is no share between 0 and 1")
    return Tune(**numbers, search=space)


def options_by_name(value: Any, where: str) -> dict[str, dict[str, Any]]:
    """Return options by name from a list of names and/or ``name: options``, or from a dictionary.

    A path names a task by its last part.
    """
    entries: list[tuple[str, Any]] = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            entries += list(each.items())
        elif isinstance(each, str | int):
            entries.append((str(each), {}))
        else:
            raise CrildError(f"{where}: give a list of names, or lines of `name: options`")
    out: dict[str, dict[str, Any]] = {}
    for key, options in entries:
        if isinstance(options, str):
            options = {"data": options}
        if not isinstance(options, dict | None):
            raise CrildError(f"{where}: {key}: options are lines of `option: value`")
        options = {str(name).replace("-", "_"): v for name, v in (options or {}).items()}
        name = str(key)
        if "/" in name:
            options.setdefault("data", name)
            name = Path(name).name
        if name in out:
            raise CrildError(f"{where}: {name!r} is there twice")
        out[name] = options
    return out


def whole_numbers(value: Any, where: str, at_least: int = 0) -> list[int]:
    """Return a list of whole numbers; one number is a list of one."""
    numbers = value if isinstance(value, list) else [value]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) for n in numbers):
        raise CrildError(f"{where}: {short(value)} is not a list of whole numbers")
    if wrong := [n for n in numbers if not at_least <= n <= MOST_SEED]:
        raise CrildError(f"{where}: {wrong[0]} is out of range, it must be from {at_least} to {MOST_SEED}")
    if len(set(numbers)) < len(numbers) and where.endswith(" seeds"):
        raise CrildError(f"{where}: a seed is there twice")
    return numbers


def cells(grid: Grid) -> list[Cell]:
    """Return every run of a grid, each after those that it needs: the teachers and the searches of tuning (where the
    grid tunes), teachers, students. One teacher serves all runs on the same data with the same teacher seed."""
    teachers: dict[str, Cell] = {}
    tunings: list[Cell] = []
    students: list[Cell] = []

    def taught(cell: T, seed: int) -> T:
        if cell.options.get("teacher"):
            return cell
        teacher = replace(teacher_cell(cell.task, cell.condition, cell.options, seed), held_out=cell.held_out)
        folder = teachers.setdefault(teacher.folder, teacher).folder
        of_teacher = cell.options.keys() & set(option_names(FinetuneConfig))
        return replace(cell, teacher=folder, shared=cell.shared | of_teacher)

    for task, data in grid.tasks.items():
        for condition, changes in grid.conditions.items():
            for method, methods_own in grid.methods.items():
                shared = {**grid.options, **data, **changes}
                place = f"{slug(task)}/{slug(condition)}/{slug(method)}"
                for number, seed in enumerate(grid.seeds):
                    options = {**shared, **methods_own, "data_seed": seed_at(grid.data_seeds, number)}
                    cell = Cell(
                        task, condition, method, seed, f"runs/{place}/{seed}",
                        options | {"seed": seed, "control": False},
                        shared=frozenset(shared.keys() - methods_own.keys()),
                        tuning=f"tuning/{place}" if grid.tune else None,
                    )  # fmt: skip
                    teacher_seed = seed_at(grid.teacher_seeds, number)
                    if grid.tune and number == 0:
                        tunings.append(taught(tuning_of(cell, grid.tune, methods_own), teacher_seed))
                    students.append(taught(cell, teacher_seed))
    folders = [cell.folder for cell in students]
    if len(set(folders)) < len(folders):
        raise CrildError("two tasks, conditions or methods have names that differ in punctuation alone; rename one")
    first = [cell for cell in teachers.values() if cell.held_out]
    return [*first, *tunings, *(cell for cell in teachers.values() if not cell.held_out), *students]


def tuning_of(cell: Cell, tune: Tune, methods_own: Collection[str]) -> Tuning:
    """Return the search for the settings of a method's runs, of which ``cell`` is the first.

    What the method's own entry says is never searched; what its task, its condition or the whole grid say only where
    ``search`` names it. The rate of fine-tuning is there the teacher's, so the student's is searched all the same.
    """
    assert cell.tuning is not None
    pinned = cell.options.keys() - {"finetune_learning_rate"} - tune.search.keys() | set(methods_own)
    options = {**cell.options, "validation": "held-out", "track_validation": False}
    return Tuning(
        cell.task, cell.condition, cell.method, cell.seed, cell.tuning, options, shared=cell.shared, held_out=True,
        tune=tune, pinned=frozenset(pinned),
    )  # fmt: skip


def select(todo: list[Cell], only: str | None) -> list[Cell]:
    """Return the runs whose name fits a pattern (``*`` is any text), and what they need; all without a pattern.

    Raises:
        CrildError: no run fits.
    """
    if only is None:
        return todo
    pattern = re.compile(re.escape(only).replace(r"\*", ".*"))
    wanted = {cell.folder for cell in todo if pattern.fullmatch(cell.name)}
    if not wanted:
        raise CrildError(f"--only {only}: no run has such a name; --dry-run lists them")
    for cell in reversed(todo):  # what a run needs comes before it
        if cell.folder in wanted:
            wanted |= {folder for folder in (cell.teacher, cell.tuning) if folder is not None}
    return [cell for cell in todo if cell.folder in wanted]


def teacher_cell(task: str, condition: str, options: Mapping[str, Any], seed: int) -> Cell:
    """Return the run that fine-tunes a teacher: the part of a run's options that a teacher knows."""
    known = {k: v for k, v in options.items() if k in option_names(FinetuneConfig)} | {"seed": seed}
    key = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:12]
    return Cell(task, condition, "teacher", seed, f"teachers/{slug(task)}-{key}", known)


def log_of(root: Path, cell: Cell) -> Path:
    """Return the file that a run's output goes to; it is there as soon as a worker has taken the run."""
    return root / "logs" / f"{slug(cell.folder)}.log"


def seed_at(numbers: list[int], place: int) -> int:
    """Return the data's or the teacher's seed beside the training seed in this place; one number is for all."""
    return numbers[place if len(numbers) > 1 else 0]


def slug(name: str) -> str:
    """Return a name that any file system takes."""
    bare = re.sub(r"[^\w.+=-]+", "-", name).strip("-")
    return bare if bare.strip(".") else "x"  # `..` would be the folder above
