"""What experiments/claims.yaml claims, decided from the committed result files: ``make claims``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml
from scipy import stats

from crild.escaping import escape_markdown
from crild.grid.statistics import NO_SPREAD, paired_t
from crild.grid.table import TEACHER, mean, natural, score_of
from tools.committed import CLAIMS, contents, together

ALL = "all"
FEWEST = 3  # paired seeds: with two, Student's t asks for 12.7 standard errors
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "not told apart"
TOO_FEW, NOT_RUN = "too few seeds", "not run yet"
HEADINGS = (
    "claim", "source", "result file", "verdict", "points", "95 % interval", "margin", "seeds", "tasks x conditions",
    "points by task",
)  # fmt: skip

Place = tuple[str, str]  # task, condition


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence, and what decides it.

    Attributes:
        claim: the sentence.
        source: whose it is.
        grid: the name of a result file, or of several that count as one.
        better, than: methods of that grid; ``than`` may be ``teacher``.
        tasks: names, or ``all``.
        condition: a name, or ``all``.
        than_condition: that of ``than``, where it is another one.
        margin: the lead, in score, that has to be passed. Below 0 the claim is one of non-inferiority.
    """

    claim: str
    source: str
    grid: str | list[str]
    better: str
    than: str
    tasks: str | list[str] = ALL
    condition: str = ALL
    than_condition: str = ""
    margin: float = 0.0

    @property
    def grids(self) -> list[str]:
        """The names of the result files."""
        return [self.grid] if isinstance(self.grid, str) else self.grid

    def held(self, read: Callable[[str], Any] = contents) -> Any:
        """Return what these hold, as `together` has it.

        Args:
            read: returns what the result file of a name holds, or ``None``.
        """
        return together(map(read, self.grids))


@dataclass(frozen=True)
class Verdict:
    """What the runs say of a claim.

    Attributes:
        word: one of this module's, or `NO_SPREAD`.
        difference: better minus than, the mean over places and seeds, in the unit of the scores.
        interval: of 95 %, over training seeds; ``None`` below `FEWEST` seeds and where there is no spread.
        seeds: that every counted place has.
        by_place: the mean difference in each counted task and condition.
        missing: tasks and conditions that have fewer paired seeds than others, and are not counted.
    """

    word: str
    difference: float | None = None
    interval: tuple[float, float] | None = None
    seeds: tuple[int, ...] = ()
    by_place: Mapping[Place, float] = field(default_factory=dict)
    missing: tuple[Place, ...] = ()


def read_claims() -> list[Claim]:
    """Return the committed claims."""
    return [Claim(**entry) for entry in yaml.safe_load(CLAIMS.read_text(encoding="utf-8"))]


def judge(claim: Claim, held: Mapping[str, Any] | None) -> Verdict:
    """Return what a result file says of a claim.

    Differences are paired: same task, condition and training seed, so also the same teacher where each seed has its
    own. For each seed they are averaged over tasks and conditions, and Student's t on these averages gives the
    interval. That asks nothing of how alike the tasks are, or of whether one task's conditions share a teacher; a
    pooled test would have more degrees of freedom than there are independent runs.

    A place with fewer paired seeds than the fullest one is left out: else one failed run would take its seed from all.

    Args:
        claim: what is claimed.
        held: the result file's contents; ``None`` while there is none.
    """
    paired = {place: differences(claim, held["runs"], *place) for place in places(claim, held)} if held else {}
    return judge_pairs(paired, claim.margin)


def judge_pairs(paired: Mapping[Place, Mapping[int, float]], margin: float) -> Verdict:
    """Return what paired differences, of each task and condition by seed, say; see `judge`."""
    fullest = max(map(len, paired.values()), default=0)
    if fullest == 0:
        return Verdict(NOT_RUN, missing=tuple(paired))
    counted = {place: by_seed for place, by_seed in paired.items() if len(by_seed) == fullest}
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in counted.values())))
    averages = [mean([by_seed[seed] for by_seed in counted.values()]) for seed in seeds]
    word, interval = decide(averages, margin)
    return Verdict(
        word,
        mean(averages) if averages else None,
        interval,
        tuple(seeds),
        {place: mean([by_seed[seed] for seed in seeds]) for place, by_seed in counted.items()} if seeds else {},
        tuple(place for place in paired if place not in counted),
    )


def decide(averages: list[float], margin: float) -> tuple[str, tuple[float, float] | None]:
    """Return the word, and the interval, of one difference a seed."""
    if len(averages) < FEWEST:
        return TOO_FEW, None
    if (interval := t_interval(averages)) is None:
        return NO_SPREAD, None
    low, high = interval
    return HOLDS if low > margin else FAILS if high < margin else UNDECIDED, interval


def t_interval(values: list[float]) -> tuple[float, float] | None:
    """Return Student's interval of 95 % of a mean; ``None`` of fewer than `FEWEST` values, and of equal ones."""
    if len(values) < FEWEST:
        return None
    (middle,), (deviation,), _ = paired_t(np.array([values, [0.0] * len(values)]))
    if deviation == 0:
        return None
    low, high = stats.t.interval(0.95, len(values) - 1, loc=middle, scale=deviation / np.sqrt(len(values)))
    return float(low), float(high)


def places(claim: Claim, held: Mapping[str, Any]) -> list[Place]:
    """Return the tasks and conditions of a result file that a claim is about, in natural order."""
    found = {(run["task"], run["condition"]) for run in held["runs"]}
    wanted = [
        (task, condition)
        for task, condition in found
        if (claim.tasks == ALL or task in claim.tasks) and claim.condition in (ALL, condition)
    ]
    return sorted(wanted, key=lambda place: (natural(place[0]), natural(place[1])))


def differences(claim: Claim, runs: list[dict[str, Any]], task: str, condition: str) -> dict[int, float]:
    """Return better minus than for each training seed that both have."""
    ours = scores(runs, task, condition, claim.better)
    theirs = scores(runs, task, claim.than_condition or condition, claim.than)
    if claim.than == TEACHER and len(theirs) == 1:  # one for all seeds
        theirs = dict.fromkeys(ours, *theirs.values())
    return {seed: score - theirs[seed] for seed, score in ours.items() if seed in theirs}


def scores(runs: list[dict[str, Any]], task: str, condition: str, method: str) -> dict[int, float]:
    """Return a method's scores by seed; none where two of one seed (teachers of other options) leave open which."""
    found = [
        (run["seed"], score)
        for run in runs
        if (run["task"], run["condition"], run["method"]) == (task, condition, method)
        and (score := score_of(run)) is not None
    ]
    return dict(found) if len(dict(found)) == len(found) else {}


def points(value: float | None) -> str:
    """Return a difference in points, with its sign; a dash without one."""
    return "-" if value is None else f"{100 * value:+z.1f}"


def interval_text(interval: tuple[float, float] | None) -> str:
    """Return "-0.3 to +1.2", in points; a dash without one."""
    return "-" if interval is None else " to ".join(map(points, interval))


def by_task(verdict: Verdict) -> str:
    """Return "RTE -0.4, SST-2 +1.2", means over conditions; a dash without any."""
    tasks = dict.fromkeys(task for task, _ in verdict.by_place)
    means = {task: mean([value for place, value in verdict.by_place.items() if place[0] == task]) for task in tasks}
    return ", ".join(f"{task} {points(value)}" for task, value in means.items()) or "-"


def line(claim: Claim, verdict: Verdict) -> list[str]:
    """Return a claim's cells in the table."""
    counted, missing = len(verdict.by_place), len(verdict.missing)
    return [
        claim.claim,
        claim.source,
        ", ".join(claim.grids),
        verdict.word,
        points(verdict.difference),
        interval_text(verdict.interval),
        points(claim.margin),
        str(len(verdict.seeds)),
        f"{counted} of {counted + missing}" if missing else str(counted),
        by_task(verdict),
    ]


def table(claims: Sequence[Claim], held: Callable[[str], Any] = contents) -> str:
    """Return claims with their verdicts as a Markdown table.

    Args:
        claims: a line each.
        held: returns what the result file of a name holds, or ``None``.
    """
    lines = [HEADINGS, *(line(claim, judge(claim, claim.held(held))) for claim in claims)]
    out = [f"| {' | '.join(map(escape_markdown, cells))} |" for cells in lines]
    return "\n".join([out[0], "|" + " --- |" * len(HEADINGS), *out[1:]])


if __name__ == "__main__":
    print(table(read_claims()))
