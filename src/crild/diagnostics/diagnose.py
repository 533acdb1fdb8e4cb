"""`diagnose`: what can be seen of finished runs, cheap and telling first, as much as a budget of seconds allows."""

import math
import time
from importlib.metadata import version
from typing import Any

from crild.config import DiagnoseConfig, configure, takes
from crild.config.trackers import parse_trackers
from crild.console import say, warn
from crild.diagnostics import explained, flips, gap, hessian, noise, probes, similarity, surface
from crild.diagnostics.case import FIT, TRAIN, Case, open_case
from crild.diagnostics.diagnosis import COLUMNS, Diagnosis, Examined, names_of
from crild.errors import CrildError
from crild.randomness import own_random_state
from crild.trackers import Tracking, log_figures

OTHERS = (flips, explained, similarity, probes, noise, hessian, surface)
DIAGNOSTICS = (gap.GAP, gap.FIT, *(each.DIAGNOSTIC for each in OTHERS))
"""In the order in which they run."""


@takes(DiagnoseConfig)
@own_random_state()
def diagnose(config: DiagnoseConfig | None = None, **options: Any) -> Diagnosis:
    """Look at finished runs: gaps, memorised flips, layers, noise on the weights, curvature, loss surfaces.

    The figures of each diagnostic are written as ``RUN/diagnostics/NAME.json``; models and results stay as they are.

    Args:
        config: a whole configuration; or
        options: the fields of `DiagnoseConfig`, for instance ``runs=["runs/cr-ild", "runs/kd"], budget=300``.

    Returns:
        The table that prints, every figure, and what was left out.

    Raises:
        CrildError: a folder holds no finished run, or none of its models is left.

    Example:
        >>> print(crild.diagnose(runs="runs/tweets"))
    """
    whole = configure(DiagnoseConfig, config, options)
    parse_trackers(whole.report_to)
    if not whole.runs:
        raise CrildError("the run is missing: crild diagnose RUN")
    names = names_of(whole.runs)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CrildError(f"{twice}: the run is named twice")
    return Diagnosis(tuple(examine(name, path, whole) for name, path in zip(names, whole.runs, strict=True)))


def examine(name: str, path: str, config: DiagnoseConfig) -> Examined:
    """Run what fits into the budget on one run."""
    began = time.monotonic()
    case = open_case(name, path, config.rows, config.seed, config.plugin)
    for note in case.notes:
        warn(f"{name}: {note}")
    figures: dict[str, dict[str, Any]] = {}
    scores = case.run.result.models
    summary: dict[str, Any] = {role: {"score": of.score} for role in case.models if (of := scores[role]) is not None}
    left_out: dict[str, str] = {}
    too_long: dict[str, float] = {}
    for each in DIAGNOSTICS:
        reason = "its data cannot be read again" if each.needs_rows and case.rows is None else each.lacks(case)
        if reason:
            left_out[each.name] = reason
            continue
        start, estimate = time.monotonic(), each.seconds(case)
        if estimate and start - began + estimate > config.budget:
            too_long[each.name] = estimate
            continue
        try:
            found = each.run(case)
        except CrildError as error:
            left_out[each.name] = str(error)
            continue
        figures[each.name] = finite(heading(case, each.name, each.title) | found | {"seconds": round(since(start), 1)})
        case.run.write_diagnostic(each.name, figures[each.name])
        for role, numbers in each.summary(found).items():
            summary[role] |= finite(numbers)
        say(f"{name}: {each.name}, {since(start):.0f} s")
    needed = math.ceil((since(began) + sum(too_long.values())) / 10) * 10
    for one, seconds in too_long.items():
        left_out[one] = f"it takes about {seconds:.0f} s; --budget {needed} is for all of them"
    if trackers := parse_trackers(config.report_to):
        track(case, summary, trackers)
    ordered = {role: {column: line[column] for column in COLUMNS if column in line} for role, line in summary.items()}
    return Examined(name, str(case.run.path), case.metric, figures, ordered, left_out, case.notes)


def track(case: Case, summary: dict[str, dict[str, Any]], trackers: tuple[str, ...]) -> None:
    """Write what the table has of a run into trackers, beside its training."""
    run = case.run
    figures = {
        f"diagnostics/{role}/{column}": value
        for role, numbers in summary.items()
        for column, value in numbers.items()
        if value is not None
    }
    try:
        log_figures(Tracking(trackers, run.path.absolute().name, run.trackers, run.events), "diagnostics", figures)
    except CrildError as error:  # the figures are safe in their files
        warn(f"{case.name}: {error}")


def heading(case: Case, name: str, title: str) -> dict[str, Any]:
    """Return what every file begins with."""
    return {
        "diagnostic": name,
        "title": title,
        "run": case.name,
        "metric": case.metric,
        "seed": case.seed,
        "rows": {"passed_over": case.count, "fitted_on": case.count * FIT[TRAIN]},
        "crild": version("crild"),
    }


def since(start: float) -> float:
    """Return the seconds since then."""
    return time.monotonic() - start


def finite(values: Any) -> Any:
    """Return nested values with ``None`` in place of numbers that JSON does not know: a loss may overflow."""
    if isinstance(values, dict):
        return {name: finite(value) for name, value in values.items()}
    if isinstance(values, list):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values
