"""`tune`: search a method's settings with Optuna, on splits carved from the training data."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from transformers import PreTrainedTokenizerBase

from crild.config import DistillConfig, FinetuneConfig, TuneConfig, as_dict, option_names, takes
from crild.config.student import is_static
from crild.data.task import load_task
from crild.errors import CrildError
from crild.files import check_folder, write_whole
from crild.grid.cells import Outcome, run_cell
from crild.grid.space import Range, read_space, read_text, spelled, usual
from crild.grid.spec import Cell, teacher_cell
from crild.grid.study import load_optuna, records, run_trials
from crild.methods import Method, find_method
from crild.processes import refuse_several
from crild.randomness import own_random_state
from crild.run.folder import RunFolder
from crild.run.identity import CHANGES_NOTHING, check_output
from crild.run.objects import configured

BEST, OPTIONS = "best.yaml", "tune.yaml"
RATES, STATIC_RATES, WEIGHTS = "1e-5:1e-3", "3e-4:3e-2", "0.01:1"


@takes(TuneConfig)
@own_random_state()
def tune(
    config: TuneConfig | None = None, *, tokenizer: PreTrainedTokenizerBase | None = None, **options: Any
) -> dict[str, Any]:
    """Search a method's settings; go on with the search where it was.

    Every trial is a run that never sees the data's validation split: 20 % of the training rows are held out to score
    it, and its selection split is carved from the rest. The teacher is fine-tuned once, on the same rows.

    Args:
        config: a whole configuration; or
        tokenizer: of the models that are given as objects.
        options: the fields of `TuneConfig`, for instance ``base="./encoder", data="tweets.csv", method="cr-ild",
            trials=20, output="runs/tune"``; models and data may be objects, as in `crild.distill`.

    Returns:
        ``best`` (options), ``score``, and every trial's options and score. ``best.yaml`` in the output folder is for
        ``crild distill --config``.

    Raises:
        CrildError: the search cannot be run, or no trial succeeded.
    """
    refuse_several("crild.tune")
    load_optuna("crild tune")
    with configured(
        TuneConfig, config, options, tokenizer, lambda sound: check_folder(sound.output, OPTIONS, "search"), OPTIONS
    ) as (whole, _):
        return search(whole)


def search(config: TuneConfig) -> dict[str, Any]:
    """Search as a configuration says; see `tune`."""
    if config.validation is not None:
        raise CrildError("--validation: a search scores its trials on held-out training rows; leave it out")
    space = search_space(config, find_method(config.method))
    mine = {name: value for name, value in as_dict(config).items() if name not in (*CHANGES_NOTHING, "trials")}
    folder = check_output(config.output, mine, OPTIONS, "search")
    trained = has_teacher(config)
    load_task(replace(config, validation="held-out"))  # what cannot be read is told before anything is written
    with RunFolder(folder).locked():
        return search_in(folder, config, mine, space, trained)


def search_in(
    folder: Path, config: TuneConfig, mine: Mapping[str, Any], space: dict[str, Range], trained: bool
) -> dict[str, Any]:
    """Search in a folder that no other process searches in.

    Args:
        folder: of the search.
        config: its options.
        mine: those that make it this search.
        space: what is searched.
        trained: a fine-tuned teacher was given.
    """
    write_whole(folder / OPTIONS, yaml.safe_dump(mine, sort_keys=False))
    passed_on = [name for name in option_names(DistillConfig) if name not in ("output", "cache")]
    common = {name: getattr(config, name) for name in passed_on if getattr(config, name) is not None}
    common |= {"validation": "held-out", "control": False}
    teacher = None if trained else prepare_teacher(folder, config, common)

    def attempt(trial: Any, chosen: dict[str, Any]) -> Outcome:
        cell = Cell(config.data or "", "tuning", config.method, config.seed, f"trials/{trial.number}",
                    common | chosen, teacher, frozenset(option_names(FinetuneConfig)))  # fmt: skip
        return run_cell(str(folder), cell, keep_weights=False)

    study = run_trials(folder, config.trials, config.seed, space, usual(config, space), attempt)
    return summarise(folder, study)


def search_space(config: TuneConfig, method: Method) -> dict[str, Range]:
    """Return what is searched, by option.

    Raises:
        CrildError: an option is unknown, or a range is none.
    """
    if config.search is not None:
        return read_space(read_text(config.search), "--search")
    kinds = dict.fromkeys(phase.preset_key for phase in method.phases(config.schedule))
    rates = STATIC_RATES if is_static(config.student) else RATES
    default = {f"{kind}_learning_rate": rates for kind in kinds}
    return read_space(default | ({"consistency": WEIGHTS} if method.consistency else {}), "--search")


def has_teacher(config: TuneConfig) -> bool:
    """Whether a fine-tuned teacher is given; else what is given can be fine-tuned.

    Raises:
        CrildError: it cannot be loaded.
    """
    from crild.models import loading

    name, role = (config.teacher, "teacher") if config.teacher else (config.base, "base")
    if name is None:
        raise CrildError("--teacher is missing: a fine-tuned classifier, or an encoder to fine-tune first")
    loaded = loading.load_model(name, role, None, config.trust_remote_code, config.revision)
    return role == "teacher" and loaded.head_is_trained


def prepare_teacher(folder: Path, config: TuneConfig, common: dict[str, Any]) -> str:
    """Fine-tune the teacher once, where the run would; return its folder inside the search's."""
    base = config.teacher or config.base
    common["base"] = config.base or base
    common.pop("teacher", None)
    cell = teacher_cell("teacher", "tuning", common, config.seed)
    outcome = run_cell(str(folder), cell, keep_weights=True)
    if outcome.result is None:
        raise CrildError(outcome.error or "the teacher could not be fine-tuned")
    return cell.folder


def summarise(folder: Path, study: Any) -> dict[str, Any]:
    """Write ``best.yaml`` and return the search's result."""
    result = {"best": study.best_params, "score": study.best_value, "folder": str(folder), "trials": records(study)}
    write_whole(folder / BEST, yaml.safe_dump(study.best_params, sort_keys=False))
    write_whole(folder / "trials.json", json.dumps(result, indent=2) + "\n")
    return result


def show(result: dict[str, Any]) -> None:
    """Print the best trials and how to use the best one."""
    done = sorted((t for t in result["trials"] if t["score"] is not None), key=lambda t: -t["score"])
    for trial in done[:5]:
        print(f"{trial['score']:.4f}  {spelled(trial['options'])}")
    print(f"best of {len(done)}; use it: crild distill ... --config {Path(result['folder']) / BEST}")
