"""Trials with Optuna, one after the other: the same ones however often the search is interrupted."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from crild.console import say, warn
from crild.errors import CrildError, to_install
from crild.grid.cells import Outcome
from crild.grid.space import Range, spelled, suggest

STUDY, NAME = "study.db", "crild"
MOST_FAILURES = 5  # trials in a row; each has other settings, so more of them means that something else is wrong
REPEATED = "repeated"  # marks a trial that takes up the settings of one that was killed
Attempt = Callable[[Any, dict[str, Any]], Outcome]


def load_optuna(what: str) -> ModuleType:
    """Return Optuna, silenced.

    Raises:
        CrildError: it is not installed; ``what`` needs it.
    """
    try:
        import optuna
    except ImportError:
        raise CrildError(f"{what} needs Optuna: {to_install('tune')}") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def run_trials(
    folder: Path,
    count: int,
    seed: int,
    space: Mapping[str, Range],
    first: Mapping[str, Any],
    attempt: Attempt,
    pruner: Any = None,
) -> Any:
    """Go on with the study in a folder until ``count`` trials ended in a score or were pruned; return it.

    Args:
        folder: of ``study.db``.
        count: trials, those of earlier starts included; failed ones do not count.
        seed: of the proposals.
        space: what is searched.
        first: settings of the first trial, all or some of them: `usual` ones, so that no search ends below them.
        attempt: runs a trial with the settings chosen for it; its student's score is the trial's. It raises
            ``optuna.TrialPruned`` where the trial is not worth its end.
        pruner: Optuna's.

    Raises:
        CrildError: too many trials in a row failed.
    """
    optuna = load_optuna("a search")
    storage = f"sqlite:///{folder / STUDY}"
    study = optuna.create_study(
        storage=storage, study_name=NAME, direction="maximize", load_if_exists=True, pruner=pruner
    )
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(dict(first))
    state = optuna.trial.TrialState
    for killed in study.get_trials(states=(state.RUNNING,)):  # the same settings again
        study.tell(killed.number, state=state.FAIL)
        study.enqueue_trial(killed.params, user_attrs={REPEATED: True})
    failures = 0
    while (done := len(study.get_trials(states=(state.COMPLETE, state.PRUNED)))) < count:
        study.sampler = optuna.samplers.TPESampler(seed=seed + trials_ended(study))
        trial = study.ask()
        chosen = {name: suggest(trial, name, choices) for name, choices in space.items()}
        try:
            outcome = attempt(trial, chosen)
        except optuna.TrialPruned:
            study.tell(trial, state=state.PRUNED)
            say(f"trial {done + 1} of {count}, {spelled(chosen)}: pruned")
            failures = 0
            continue
        if outcome.result is None:
            study.tell(trial, state=state.FAIL)
            warn(f"trial {trial.number}, {spelled(chosen)}: failed: {outcome.error}")
            failures += 1
            if failures == MOST_FAILURES:
                raise CrildError(f"{failures} trials in a row failed, the last one so: {outcome.error}")
            continue
        failures = 0
        study.tell(trial, outcome.result["student"]["score"])
        say(f"trial {done + 1} of {count}, {spelled(chosen)}: {outcome.result['student']['score']:.4f}")
    return study


def trials_ended(study: Any) -> int:
    """Return how many trials ended by themselves, in a score or in a failure: the seed of the next proposal.

    One that was killed does not count, so that a search that was interrupted goes on as if it had not been; one that
    failed does, or the same settings would be proposed again.
    """
    trials = study.get_trials(deepcopy=False)
    killed = sum(bool(trial.user_attrs.get(REPEATED)) for trial in trials)  # each is taken up once
    return sum(trial.state.is_finished() for trial in trials) - killed


def records(study: Any) -> list[dict[str, Any]]:
    """Return every trial: number, options, score and how it ended."""
    return [
        {"number": t.number, "options": t.params, "score": t.value, "state": t.state.name.lower()}
        for t in study.get_trials()
    ]
