"""Every method of a grid tuned alike: as many trials, as many passes over the texts, the same search space.

A tuning is one job, as a run is. Its trials are scored on rows held out of the training rows, and one that lags behind
the earlier ones is ended early.
"""

import json
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from crild.config import DistillConfig, with_defaults
from crild.config.declare import choices_of
from crild.config.student import is_static
from crild.console import into, say
from crild.data.sources import read_source
from crild.errors import CrildError, InUse
from crild.files import write_whole
from crild.grid.cells import (
    Outcome,
    configure,
    finished,
    one_line,
    planned_minutes,
    refuse_another_run,
    run_cell,
)
from crild.grid.space import Range, usual
from crild.grid.spec import SHARE, TRIALS, Cell, Grid, Tuning, log_of
from crild.grid.study import load_optuna, records, run_trials
from crild.methods import find_method
from crild.objectives import load_plugin
from crild.run import start
from crild.run.folder import RunFolder
from crild.run.identity import Identity, names_files
from crild.run.plan import ELSEWHERE, Facts, differs, rewrites_of

IDENTITY, RUNS = "tuning.json", "trials"
LOOK_EVERY = 1.0  # seconds between two looks at a job that another process is at
RATES, STATIC_RATES = (3e-5, 5e-4), (7e-4, 1.2e-2)  # about what presets say
SHARES, USUAL_SHARE = (0.25, 0.5, 0.75, 0.9), 0.5
FIRST_TRIALS = 4  # in full, before any trial is ended early
PLACES = 4  # of the last stage, equally far apart, at which a trial is compared with the earlier ones
LEAST_MARGIN = 0.05  # of a teacher's score above the constant answer's: else there is nothing to distil


# ---- what is searched ----


def search_space(tuning: Tuning, root: Path) -> dict[str, Range]:
    """Return what is searched for a method: what acts in it, and what the grid does not say."""
    config = configured(root, tuning)
    keys = stage_keys(config)
    rates = STATIC_RATES if is_static(config.student) else RATES
    space: dict[str, Range] = {f"{key}_learning_rate": rates for key in keys}
    space[SHARE] = list(SHARES)
    space["student_head"] = ["fresh"] if another_shape(config) else ["fresh", "teacher"]
    space["keep"] = list(choices_of(DistillConfig, "keep"))
    space |= tuning.tune.search
    return {
        name: choices
        for name, choices in space.items()
        if name not in tuning.pinned and acts(config, keys, name, choices)
    }


def acts(config: DistillConfig, keys: tuple[str, ...], name: str, choices: Range) -> bool:
    """Return whether a choice changes anything in a method's stages."""
    if name == SHARE:
        return len(keys) > 1
    if name.endswith("_learning_rate"):
        return name.removesuffix("_learning_rate") in keys
    if name == "student_head":
        return find_method(config.method).uses_teacher
    facts = Facts(supplementary=1000 if config.supplementary else 0)
    return name in ELSEWHERE or any(differs(config, facts, name, value) for value in choices)


def stage_keys(config: DistillConfig) -> tuple[str, ...]:
    """Return whose epochs, rates and batch size each stage takes that trains the student, in order.

    Filters (TED) train no student: their stage comes on top, as the options have it.
    """
    return tuple(phase.preset_key for phase in find_method(config.method).phases(config.schedule))


def another_shape(config: DistillConfig) -> bool:
    """Return whether the teacher's head may not fit the student."""
    another = is_static(config.student) or names_files("student", config.student)
    return another or config.student_width is not None


def settings_of(tuning: Tuning, config: DistillConfig, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a trial's choices stand for: as many passes in all, whatever their division."""
    options = {name: value for name, value in chosen.items() if name != SHARE}
    config = replace(config, **options)
    keys = stage_keys(config)
    epochs = divided(passes(tuning, config), chosen.get(SHARE), len(keys))
    for key, count in zip(keys, epochs, strict=True):
        options |= {f"{key}_epochs": count, f"{key}_batch_size": tuning.tune.batch_size}
    return options


def passes(tuning: Tuning, config: DistillConfig) -> float:
    """Return the epochs of all stages together; an epoch over texts that were made up beside each row is longer."""
    method = find_method(config.method)
    made_up = rewrites_of(config, method) and method.uses_teacher  # else they have no label
    return tuning.tune.passes / (1 + (config.augment_ratio if made_up else 0))


def divided(total: float, share: float | None, stages: int) -> tuple[int, ...]:
    """Return the epochs of each of one or two stages, at least one each.

    Args:
        total: epochs.
        share: of the first of two.
        stages: how many.
    """
    whole = max(stages, round(total))
    if stages == 1:
        return (whole,)
    first = min(max(1, round(whole * (USUAL_SHARE if share is None else share))), whole - 1)
    return first, whole - first


def configured(root: Path, cell: Cell) -> DistillConfig:
    """Return the configuration of a student's run."""
    config = configure(root, cell)
    assert isinstance(config, DistillConfig)
    if config.plugin:
        load_plugin(config.plugin)
    return config


# ---- a tuning as a job ----


def run_job(root: str, cell: Cell, keep_weights: bool) -> Outcome:
    """Do one job of a grid: a run, or a tuning; where another process is at it, wait for what comes of that."""
    told = False
    while True:
        try:
            return run_tuning(root, cell) if isinstance(cell, Tuning) else run_cell(root, cell, keep_weights)
        except InUse as error:
            if not told:
                say(f"{cell.name}: {str(error).partition(': ')[2].partition(';')[0]}: waiting for it")
            told = True
            time.sleep(LOOK_EVERY)


def run_tuning(root: str, tuning: Tuning) -> Outcome:
    """Search a method's settings, or go on with it; its outcome is what ``trials.json`` holds, or why there is none."""
    folder = Path(root)
    log = log_of(folder, tuning)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", buffering=1) as file, into(file):  # a line at a time: trials write there too
        try:
            with RunFolder(folder / tuning.folder).locked():
                search(folder, tuning)
        except InUse:
            raise
        except CrildError as error:
            return Outcome(error=" ".join(str(error).split()))
        except Exception as error:  # as a run that fails: the others go on
            return Outcome(error=one_line(error))
    return found(folder, tuning.folder) or Outcome(error="no settings were found")


def search(root: Path, tuning: Tuning) -> None:
    """Run the trials that are left, and write what was found; the caller keeps other processes out."""
    optuna = load_optuna("a grid with `tune`")
    folder = root / tuning.folder
    if found(root, tuning.folder) is not None:
        return
    refuse_another_tuning(root, tuning)
    identity = identity_of(root, tuning)
    write_whole(folder / IDENTITY, json.dumps(vars(identity), indent=1) + "\n")
    shutil.rmtree(folder / RUNS, ignore_errors=True)  # of a trial that was killed: it begins anew
    config, space = configured(root, tuning), search_space(tuning, root)
    last = find_method(config.method).phases(config.schedule)[-1].name

    def attempt(trial: Any, chosen: dict[str, Any]) -> Outcome:
        cell = trial_cell(tuning, config, trial.number, chosen)
        began = time.monotonic()
        try:
            return run_cell(
                str(root), cell, keep_weights=False, log=log_of(root, tuning), measured=False,
                callbacks=[Judge(trial, last, optuna.TrialPruned)], lets_through=(optuna.TrialPruned,),
            )  # fmt: skip
        finally:
            trial.set_user_attr("minutes", round((time.monotonic() - began) / 60, 3))
            shutil.rmtree(root / cell.folder, ignore_errors=True)

    pruner = optuna.pruners.MedianPruner(n_startup_trials=FIRST_TRIALS)
    first = usual(config, space) | ({SHARE: USUAL_SHARE} if USUAL_SHARE in space.get(SHARE, ()) else {})
    study = run_trials(folder, tuning.tune.trials, tuning.seed, space, first, attempt, pruner)
    trials = [
        entry | {"minutes": trial.user_attrs.get("minutes", 0.0)}
        for entry, trial in zip(records(study), study.get_trials(), strict=True)
    ]
    result = {
        "settings": settings_of(tuning, config, study.best_params),
        "score": study.best_value,
        "pruned": sum(trial["state"] == "pruned" for trial in trials),
        "minutes": round(sum(trial["minutes"] for trial in trials), 2),
        "trials": trials,
    }
    shutil.rmtree(folder / RUNS, ignore_errors=True)
    write_whole(folder / TRIALS, json.dumps(result, indent=1) + "\n")


class Judge(TrainerCallback):
    """Reports a trial's selection score at some places of its last stage, and ends a trial that lags behind.

    Places are shares of the stage, for it is of another length in each trial; a rate that falls to 0 at its end makes
    equal shares alike.

    Args:
        trial: Optuna's.
        stage: the last one's name.
        ends: the exception that ends the run.
    """

    def __init__(self, trial: Any, stage: str, ends: type[Exception]) -> None:
        self.trial, self.stage, self.ends = trial, stage, ends
        self.place = 0

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        entry = kwargs["metrics"]
        place = PLACES * state.global_step // max(1, state.max_steps)
        if entry["stage"] != self.stage or "score" not in entry or not self.place < place < PLACES:
            return
        self.place = place
        self.trial.report(entry["score"], place)
        if self.trial.should_prune():
            raise self.ends


def trial_cell(tuning: Tuning, config: DistillConfig, number: int, chosen: Mapping[str, Any]) -> Cell:
    """Return one trial's run."""
    return Cell(
        tuning.task, tuning.condition, tuning.method, tuning.seed, f"{tuning.folder}/{RUNS}/{number}",
        {**tuning.options, **settings_of(tuning, config, chosen)}, tuning.teacher, tuning.shared,
    )  # fmt: skip


# ---- what was found ----


def found(root: Path, folder: str) -> Outcome | None:
    """Return the outcome of the tuning in a folder, what ``trials.json`` holds; ``None`` where it is not finished."""
    path = root / folder / TRIALS
    return Outcome(result=json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def with_settings(root: Path, cell: Cell) -> Cell:
    """Return a run with the settings that its tuning found; the cell itself where there is none, or none yet."""
    outcome = found(root, cell.tuning) if cell.tuning is not None else None
    if outcome is None or outcome.result is None:
        return cell
    return replace(cell, options={**cell.options, **outcome.result["settings"]})


def identity_of(root: Path, tuning: Tuning) -> Identity:
    """Return what makes a tuning this one: the options of its trials, what they search, and how."""
    identity = Identity.of(start.resolve(configure(root, tuning)))
    how = {name: value for name, value in vars(tuning.tune).items() if name != "search"}
    space = {name: list(choices) for name, choices in search_space(tuning, root).items()}
    return replace(identity, options=identity.options | how | {"search": space})


def refuse_another_tuning(root: Path, tuning: Tuning) -> None:
    """Refuse settings that another search found: one with other options, on other data or of another teacher.

    Raises:
        CrildError: the tuning's folder holds one.
    """
    path = root / tuning.folder / IDENTITY
    if not path.exists():
        return
    identity, there = identity_of(root, tuning), json.loads(path.read_text(encoding="utf-8"))
    there["options"] = with_defaults(there["options"], identity.options)
    if difference := identity.difference(Identity(**there)):
        raise CrildError(f"{path.parent} holds a search with other options ({difference}): choose another --output")


def refuse_another(root: Path, cell: Cell) -> None:
    """Refuse to take the numbers of another run, or of another search, for this cell's.

    Raises:
        CrildError: the cell's folder holds one.
    """
    if isinstance(cell, Tuning):
        refuse_another_tuning(root, cell)
        return
    settled = with_settings(root, cell)
    if cell.tuning is not None and settled is cell and RunFolder(root / cell.folder).is_started:
        raise CrildError(f"{root / cell.folder} holds a run whose tuning is gone: choose another --output")
    refuse_another_run(root, settled)


def done_before(root: Path, cell: Cell) -> Outcome | None:
    """Return the outcome of a job that is finished, or ``None``."""
    return found(root, cell.folder) if isinstance(cell, Tuning) else finished(root, cell)


def minutes_of(root: Path, cell: Cell) -> float:
    """Return about how many minutes a run takes; of a tuning: one of its trials."""
    if not isinstance(cell, Tuning):
        return planned_minutes(root, with_settings(root, cell))
    return planned_minutes(root, trial_cell(cell, configured(root, cell), 0, {}))


# ---- tasks that carry nothing ----


@dataclass(frozen=True)
class LeftOut:
    """A task under a condition on which nothing is compared, for its teacher has learned too little.

    Attributes:
        task, condition: names in the grid.
        teacher: score on the held-out rows of the teacher for tuning.
        constant: score there of whoever always gives the same answer.
    """

    task: str
    condition: str
    teacher: float
    constant: float

    @property
    def sentence(self) -> str:
        """What a reader of the table must know."""
        return (
            f"Left out: {self.task}, {self.condition}: on held-out rows its teacher scores {self.teacher:.4f}, less "
            f"than {LEAST_MARGIN} above the constant answer's {self.constant:.4f}: there is nothing to distil."
        )


def left_out(todo: Iterable[Cell], outcomes: Mapping[str, Outcome]) -> list[LeftOut]:
    """Return where even the best teacher for tuning is less than `LEAST_MARGIN` above the constant answer.

    A ready-made teacher is taken at its word.
    """
    best: dict[tuple[str, str], LeftOut] = {}
    for tuning in todo:
        outcome = outcomes.get(tuning.teacher) if isinstance(tuning, Tuning) and tuning.teacher is not None else None
        if outcome is None or outcome.result is None:
            continue
        scores = outcome.result["teacher"]["score"], outcome.result["constant"]["score"]
        each = LeftOut(tuning.task, tuning.condition, *scores)
        place = (tuning.task, tuning.condition)
        if place not in best or each.teacher > best[place].teacher:
            best[place] = each
    return [each for each in best.values() if each.teacher < each.constant + LEAST_MARGIN]


def check_tuning(grid: Grid, todo: Iterable[Cell]) -> None:
    """Refuse a grid that cannot be tuned.

    Raises:
        CrildError: Optuna is missing, or data have no split of their own to score the runs on.
    """
    if grid.tune is None:
        return
    load_optuna("a grid with `tune`")
    runs = [cell.options for cell in todo if cell.tuning is not None and not cell.options.get("validation")]
    for data, revision in dict.fromkeys((options["data"], options.get("data_revision")) for options in runs):
        if read_source(data, revision).validation() is None:
            raise CrildError(
                f"{data} has no validation split: tune scores its trials on held-out rows, on which the runs cannot be "
                "scored as well; name data with `validation`"
            )
