"""`tune`: search a method's settings with Optuna, on splits carved from the training data."""

import json
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from crild.config import DistillConfig, FinetuneConfig, TuneConfig, as_dict, configure, convert, option_names
from crild.console import say, warn
from crild.errors import CrildError, nearest
from crild.files import write_whole
from crild.grid.cells import run_cell
from crild.grid.spec import Cell, teacher_cell
from crild.methods import Method, find_method
from crild.run.identity import CHANGES_NOTHING, check_output

BEST, STUDY, OPTIONS = "best.yaml", "study.db", "tune.yaml"
RATES, WEIGHTS = "1e-5:1e-3", "0.01:1"
MOST_FAILURES = 5  # trials in a row; each has other settings, so more of them means that something else is wrong
REPEATED = "repeated"  # marks a trial that takes up the settings of one that was killed
Range = tuple[float, float] | list[Any]
"""Lowest and highest value, searched on a logarithmic scale; or choices."""


def tune(config: TuneConfig | None = None, **options: Any) -> dict[str, Any]:
    """Search a method's settings; go on with the search where it was.

    Every trial is a run that never sees the data's validation split: 20 % of the training rows are held out to score
    it, and its selection split is carved from the rest. The teacher is fine-tuned once, on the same rows.

    Args:
        config: a whole configuration; or
        options: the fields of `TuneConfig`, for instance ``base="./encoder", data="tweets.csv", method="cr-ild",
            trials=20, output="runs/tune"``.

    Returns:
        ``best`` (options), ``score``, and every trial's options and score. ``best.yaml`` in the output folder is for
        ``crild distill --config``.

    Raises:
        CrildError: the search cannot be run, or no trial succeeded.
    """
    config = configure(TuneConfig, config, options)
    try:
        import optuna
    except ImportError:
        raise CrildError("crild tune needs Optuna: pip install 'crild[tune]'") from None
    if config.validation is not None:
        raise CrildError("--validation: a search scores its trials on held-out training rows; leave it out")
    space = search_space(config, find_method(config.method))
    mine = {name: value for name, value in as_dict(config).items() if name not in (*CHANGES_NOTHING, "trials")}
    folder = check_output(config.output, mine, OPTIONS, "search")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / OPTIONS, yaml.safe_dump(mine, sort_keys=False))
    passed_on = [name for name in option_names(DistillConfig) if name not in ("output", "cache")]
    common = {name: getattr(config, name) for name in passed_on if getattr(config, name) is not None}
    common |= {"validation": "held-out", "control": False}
    teacher = prepare_teacher(folder, config, common)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = f"sqlite:///{folder / STUDY}"
    study = optuna.create_study(storage=storage, study_name="crild", direction="maximize", load_if_exists=True)
    state = optuna.trial.TrialState
    for killed in study.get_trials(states=(state.RUNNING,)):  # the same settings again
        study.tell(killed.number, state=state.FAIL)
        study.enqueue_trial(killed.params, user_attrs={REPEATED: True})
    failures = 0
    while (done := len(study.get_trials(states=(state.COMPLETE,)))) < config.trials:
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + trials_ended(study))
        trial = study.ask()
        chosen = {name: suggest(trial, name, choices) for name, choices in space.items()}
        cell = Cell(config.data or "", "tuning", config.method, config.seed, f"trials/{trial.number}",
                    common | chosen, teacher, frozenset(option_names(FinetuneConfig)))  # fmt: skip
        outcome = run_cell(str(folder), cell, keep_weights=False)
        if outcome.result is None:
            study.tell(trial, state=state.FAIL)
            warn(f"trial {trial.number}, {spelled(chosen)}: failed: {outcome.error}")
            failures += 1
            if failures == MOST_FAILURES:
                raise CrildError(f"{failures} trials in a row failed, the last one so: {outcome.error}")
            continue
        failures = 0
        study.tell(trial, outcome.result["student"]["score"])
        say(f"trial {done + 1} of {config.trials}, {spelled(chosen)}: {outcome.result['student']['score']:.4f}")
    return summarise(folder, study)


def trials_ended(study: Any) -> int:
    """Return how many trials ended by themselves, in a score or in a failure: the seed of the next proposal.

    One that was killed does not count, so that a search that was interrupted goes on as if it had not been; one that
    failed does, or the same settings would be proposed again.
    """
    trials = study.get_trials(deepcopy=False)
    killed = sum(bool(trial.user_attrs.get(REPEATED)) for trial in trials)  # each is taken up once
    return sum(trial.state.is_finished() for trial in trials) - killed


def search_space(config: TuneConfig, method: Method) -> dict[str, Range]:
    """Return what is searched, by option.

    Raises:
        CrildError: an option is unknown, or a range is none.
    """
    text = config.search
    if text is None:
        kinds = dict.fromkeys(phase.preset_key for phase in method.phases(config.schedule))
        parts = [f"{kind}_learning_rate={RATES}" for kind in kinds]
        text = ",".join(parts + ([f"consistency={WEIGHTS}"] if method.consistency else []))
    known = option_names(DistillConfig)
    space: dict[str, Range] = {}
    for part in text.split(","):
        name, _, values = part.strip().partition("=")
        name = name.replace("-", "_")
        if name not in known:
            raise CrildError(f"--search: unknown option {name!r}{nearest(name, known)}")
        low, colon, high = values.partition(":")
        if not colon and values:
            space[name] = [convert(DistillConfig, name, yaml.safe_load(v), "--search") for v in values.split("|")]
            continue
        try:
            space[name] = span = (float(low), float(high))
        except ValueError:
            span = (0.0, 0.0)
        if not 0 < span[0] < span[1]:
            raise CrildError(f"--search: {part.strip()!r} is not option=low:high (0 < low < high) or option=a|b|c")
    return space


def suggest(trial: Any, name: str, choices: Range) -> Any:
    """Return a trial's value of one option."""
    if isinstance(choices, list):
        return trial.suggest_categorical(name, choices)
    if get_type_hints(DistillConfig)[name] in (int, int | None):
        return trial.suggest_int(name, round(choices[0]), round(choices[1]), log=True)
    return trial.suggest_float(name, *choices, log=True)


def prepare_teacher(folder: Path, config: TuneConfig, common: dict[str, Any]) -> str | None:
    """Fine-tune the teacher once, where the run would; return its folder inside the search's."""
    from crild.models import loading

    base = config.teacher or config.base
    if base is None:
        raise CrildError("--teacher is missing: a fine-tuned classifier, or an encoder to fine-tune first")
    if config.teacher is not None and loading.load_model(config.teacher, "teacher")[1]:
        return None
    common["base"] = config.base or base
    common.pop("teacher", None)
    cell = teacher_cell("teacher", "tuning", common, config.seed)
    outcome = run_cell(str(folder), cell, keep_weights=True)
    if outcome.result is None:
        raise CrildError(outcome.error or "the teacher could not be fine-tuned")
    return cell.folder


def summarise(folder: Path, study: Any) -> dict[str, Any]:
    """Write ``best.yaml`` and return the search's result."""
    trials = [
        {"number": t.number, "options": t.params, "score": t.value, "state": t.state.name.lower()}
        for t in study.get_trials()
    ]
    result = {"best": study.best_params, "score": study.best_value, "folder": str(folder), "trials": trials}
    write_whole(folder / BEST, yaml.safe_dump(study.best_params, sort_keys=False))
    write_whole(folder / "trials.json", json.dumps(result, indent=2) + "\n")
    return result


def show(result: dict[str, Any]) -> None:
    """Print the best trials and how to use the best one."""
    done = sorted((t for t in result["trials"] if t["score"] is not None), key=lambda t: -t["score"])
    for trial in done[:5]:
        print(f"{trial['score']:.4f}  {spelled(trial['options'])}")
    print(f"best of {len(done)}; use it: crild distill ... --config {Path(result['folder']) / BEST}")


def spelled(options: dict[str, Any]) -> str:
    """Return options as a line."""
    return ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in options.items())
