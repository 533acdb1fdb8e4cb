"""A grid: methods x tasks x conditions x seeds, read from one YAML, and the runs that it stands for."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from crild.config import DistillConfig, FinetuneConfig, build, option_names, read_yaml
from crild.errors import CrildError, nearest
from crild.methods import find_method

CONTROL = "ft"
DECIDED_HERE = ("output", "seed", "data_seed", "control", "method", "cache")  # options that a grid sets itself
RENAMED = {"reference": "baseline"}


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
    """

    task: str
    condition: str
    method: str
    seed: int
    folder: str
    options: Mapping[str, Any]
    teacher: str | None = None
    shared: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What a log calls it."""
        return run_name(self.task, self.condition, self.method, self.seed)


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
            grid.options = {key.replace("-", "_"): v for key, v in value.items()}
        elif name in ("claim", "baseline"):
            setattr(grid, name, str(value))
        elif name == "keep_weights":
            grid.keep_weights = bool(value)
        elif value is not None:
            grid.threads = whole_numbers(value, f"{where}: {name}")[0]
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
        build(DistillConfig, dict(options), where)
    return grid


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
        options = {name.replace("-", "_"): v for name, v in (options or {}).items()}
        name = str(key)
        if "/" in name:
            options.setdefault("data", name)
            name = Path(name).name
        if name in out:
            raise CrildError(f"{where}: {name!r} is there twice")
        out[name] = options
    return out


def whole_numbers(value: Any, where: str) -> list[int]:
    """Return a list of whole numbers; one number is a list of one."""
    numbers = value if isinstance(value, list) else [value]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise CrildError(f"{where}: {value!r} is not a list of whole numbers")
    if len(set(numbers)) < len(numbers) and where.endswith(" seeds"):
        raise CrildError(f"{where}: a seed is there twice")
    return numbers


def cells(grid: Grid) -> list[Cell]:
    """Return every run of a grid, teachers first; one serves all runs on the same data with the same teacher seed."""
    teachers: dict[str, Cell] = {}
    students: list[Cell] = []
    for task, data in grid.tasks.items():
        for condition, changes in grid.conditions.items():
            for method, methods_own in grid.methods.items():
                shared = {**grid.options, **data, **changes}
                for number, seed in enumerate(grid.seeds):
                    options = {**shared, **methods_own, "data_seed": seed_at(grid.data_seeds, number)}
                    teacher, not_its_own = None, shared.keys() - methods_own.keys()
                    if not options.get("teacher"):
                        cell = teacher_cell(task, condition, options, seed_at(grid.teacher_seeds, number))
                        teacher = teachers.setdefault(cell.folder, cell).folder
                        not_its_own |= options.keys() & set(option_names(FinetuneConfig))
                    options |= {"seed": seed, "control": False}
                    folder = f"runs/{slug(task)}/{slug(condition)}/{slug(method)}/{seed}"
                    students.append(
                        Cell(task, condition, method, seed, folder, options, teacher, frozenset(not_its_own))
                    )
    folders = [cell.folder for cell in students]
    if len(set(folders)) < len(folders):
        raise CrildError("two tasks, conditions or methods have names that differ in punctuation alone; rename one")
    return [*teachers.values(), *students]


def select(todo: list[Cell], only: str | None) -> list[Cell]:
    """Return the runs whose name fits a pattern (``*`` is any text), and their teachers; all without a pattern.

    Raises:
        CrildError: no run fits.
    """
    if only is None:
        return todo
    pattern = re.compile(re.escape(only).replace(r"\*", ".*"))
    wanted = [cell for cell in todo if pattern.fullmatch(cell.name)]
    if not wanted:
        raise CrildError(f"--only {only}: no run has such a name; --dry-run lists them")
    folders = {folder for cell in wanted for folder in (cell.folder, cell.teacher)}
    return [cell for cell in todo if cell.folder in folders]


def teacher_cell(task: str, condition: str, options: Mapping[str, Any], seed: int) -> Cell:
    """Return the run that fine-tunes a teacher: the part of a run's options that a teacher knows."""
    known = {k: v for k, v in options.items() if k in option_names(FinetuneConfig)} | {"seed": seed}
    key = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:12]
    return Cell(task, condition, "teacher", seed, f"teachers/{slug(task)}-{key}", known)


def seed_at(numbers: list[int], place: int) -> int:
    """Return the data's or the teacher's seed beside the training seed in this place; one number is for all."""
    return numbers[place if len(numbers) > 1 else 0]


def slug(name: str) -> str:
    """Return a name that any file system takes."""
    return re.sub(r"[^\w.+=-]+", "-", name).strip("-") or "x"
