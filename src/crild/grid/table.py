"""The one table of a grid, as plain data: what each method scored, kept of its teacher, and whether it is luck."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from crild.errors import CrildError
from crild.grid.spec import CONTROL
from crild.grid.statistics import FEWEST, NO_SPREAD, TOO_FEW, Comparison, Ranks, average_ranks, compare_all, rank
from crild.shown import Shown

TEACHER, CONSTANT = "teacher", "constant answer"
FRAME_COLUMNS = [
    "task", "condition", "metric", "method", "role", "seeds", "runs", "mean", "deviation", "kept",
    "best_of_validation_optimistic", "rank", "average_rank", "reference", "difference", "p", "verdict", "parameters",
    "scores", "failed",
]  # fmt: skip
SHOWN = ["metric", "seeds", "mean", "deviation", "kept", "difference", "p", "verdict", "average_rank"]
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """A run without a score, and why."""

    seed: int
    error: str


@dataclass(frozen=True)
class Row:
    """A method (or the teacher, or the constant answer) on one task under one condition.

    Attributes:
        name: of the method in the grid; ``teacher``; ``constant answer``.
        role: ``teacher``, ``constant`` (whoever always gives the same answer), ``control`` (the student without a
            teacher) or ``method``.
        seeds: of the runs with a score; those of the teachers' own training in the teacher's row.
        scores: one a seed.
        runs: how many runs there should be.
        mean, deviation: over the scores; the deviation (n - 1) from two scores on.
        kept: the mean as a share of the teacher's mean, where that is above 0.
        best_validation: mean of the best validation score of each run, which is optimistic.
        rank: of the mean among the block's methods, 1 the highest; none for the teacher and the constant answer.
        difference: mean over shared seeds of score minus the baseline's.
        p: of the difference, adjusted for all pairs of the block; ``None`` where nothing was tested.
        verdict: what this says, in words.
        parameters: of the model; mean over runs.
        failures: the runs without a score.
    """

    name: str
    role: str
    seeds: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    runs: int = 0
    mean: float | None = None
    deviation: float | None = None
    kept: float | None = None
    best_validation: float | None = None
    rank: float | None = None
    difference: float | None = None
    p: float | None = None
    verdict: str = ""
    parameters: float | None = None
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Block:
    """One task under one condition.

    Attributes:
        task, condition: names in the grid.
        metric: of the scores; ``None`` without any.
        rows: the teacher, the constant answer (where any run knows its score), the student without a teacher, then the
            methods in the grid's order; all always there.
        comparison: of all pairs of methods.
        notes: what a reader of the rows must know.
    """

    task: str
    condition: str
    metric: str | None
    rows: tuple[Row, ...]
    comparison: Comparison
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a heading calls it."""
        return f"{self.task}, {self.condition}"


@dataclass(frozen=True)
class Found:
    """What the tuning of a method found on one task under one condition, and what that cost.

    Attributes:
        task, condition, method: names in the grid.
        trials: how many there were.
        pruned: how many of them were ended early.
        minutes: of all trials.
        score: of the best one on held-out rows; ``None`` where the tuning failed.
        settings: its options.
        error: why the tuning failed.
    """

    task: str
    condition: str
    method: str
    trials: int
    pruned: int | None = None
    minutes: float | None = None
    score: float | None = None
    settings: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, repr=False)
class Summary(Shown):
    """The table of a grid; it prints as such.

    Attributes:
        claim: the sentence that the grid tests.
        baseline: the method that all others are compared with.
        methods: those of the rows, the student without a teacher first.
        controls: of them, the students without a teacher.
        blocks: by task, then condition, in natural order of their names.
        ranks: average ranks over blocks.
        has_best: whether any run has a best validation score.
        notes: what holds for all blocks.
        tunings: what was found for each method, by task, condition and method; empty where nothing was tuned.
    """

    claim: str
    baseline: str
    methods: tuple[str, ...]
    controls: tuple[str, ...]
    blocks: tuple[Block, ...]
    ranks: Ranks
    has_best: bool
    notes: tuple[str, ...]
    tunings: tuple[Found, ...] = ()

    @property
    def title(self) -> str:
        """The claim, and what differences are from."""
        return f"{self.claim or 'Grid'} (differences from {self.baseline})"

    @property
    def remarks(self) -> list[str]:
        """The notes."""
        return [*self.notes, *(note for block in self.blocks for note in block.notes)]

    def table(self) -> pd.DataFrame:
        """Return what is first asked of `to_frame`, by task, condition and method."""
        return self.to_frame().set_index(["task", "condition", "method"])[SHOWN].dropna(axis="columns", how="all")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def to_frame(self) -> pd.DataFrame:
        """Return one line for each block and row; what is not there is ``None`` or NaN."""
        lines = [
            [
                block.task, block.condition, block.metric, row.name, row.role, len(row.scores), row.runs, row.mean,
                row.deviation, row.kept, row.best_validation, row.rank,
                None if row.role == TEACHER else self.ranks.average.get(row.name), self.baseline, row.difference,
                row.p, row.verdict or None, row.parameters,
                "; ".join(f"seed {seed}: {score!r}" for seed, score in zip(row.seeds, row.scores, strict=True)),
                "; ".join(f"seed {each.seed}: {each.error}" for each in row.failures),
            ]
            for block in self.blocks
            for row in block.rows
        ]  # fmt: skip
        return pd.DataFrame(lines, columns=FRAME_COLUMNS)


def summarise(
    records: Iterable[Record],
    claim: str,
    baseline: str,
    methods: Sequence[str],
    tunings: Iterable[Record] = (),
    left_out: Iterable[Record] = (),
) -> Summary:
    """Return the table of a grid's runs; the order of the records does not matter.

    Args:
        records: one a run; ``task``, ``condition``, ``method``, ``seed`` and ``status`` at least, ``score`` and
            ``metric`` where the status is ``done``, perhaps ``constant``: the constant answer's score. Higher scores
            are better.
        claim: the sentence that the grid tests.
        baseline: the method that all others are compared with.
        methods: the grid's, in its order.
        tunings: the fields of `Found`, one a tuning.
        left_out: places in which nothing is compared; ``why`` is a sentence.

    Raises:
        CrildError: two records are of the same run.
    """
    runs = sorted(records, key=lambda r: (r["seed"], r["method"], str(r.get("folder", "")), repr(score_of(r))))
    refuse_twins(runs)
    students = [r for r in runs if r["method"] != TEACHER]
    controls = sorted({r["method"] for r in students if r.get("control")}, key=natural) or [CONTROL]
    others = {r["method"] for r in students}.difference(methods, controls)
    everyone = [*(m for m in methods if m in controls), *(m for m in controls if m not in methods)]
    everyone += [*(m for m in methods if m not in controls), *sorted(others, key=natural)]
    runs_of: dict[tuple[str, str], list[Record]] = {}
    for run in runs:
        runs_of.setdefault((run["task"], run["condition"]), []).append(run)
    places = sorted(runs_of, key=lambda place: (natural(place[0]), natural(place[1])))
    has_constant = any(finite(run.get("constant")) is not None for run in runs)
    shown = [TEACHER, *([CONSTANT] if has_constant else []), *everyone]
    blocks = tuple(summarise_block(*place, runs_of[place], baseline, shown, controls) for place in places)
    ranks = average_ranks(
        {(b.task, b.condition): {r.name: r.mean for r in b.rows if r.rank is not None and r.mean is not None}
         for b in blocks},
        everyone,
    )  # fmt: skip
    return Summary(
        claim=claim,
        baseline=baseline,
        methods=tuple(everyone),
        controls=tuple(controls),
        blocks=blocks,
        ranks=ranks,
        has_best=any(row.best_validation is not None for block in blocks for row in block.rows),
        notes=(*rank_notes(ranks, len(blocks)), *(str(each["why"]) for each in left_out)),
        tunings=tuple(
            sorted(
                (Found(**each) for each in tunings), key=lambda f: [natural(x) for x in (f.task, f.condition, f.method)]
            )
        ),
    )


def refuse_twins(runs: Sequence[Record]) -> None:
    """Raise an error if a student's run is there twice; teachers of one seed may differ in their options."""
    seen = set()
    for run in runs:
        key = (run["task"], run["condition"], run["method"], run["seed"])
        if key in seen and run["method"] != TEACHER:
            raise CrildError("two results are of the same run: {}, {}, {}, seed {}; keep one".format(*key))
        seen.add(key)


def summarise_block(
    task: str, condition: str, runs: Sequence[Record], baseline: str, shown: Sequence[str], controls: Sequence[str]
) -> Block:
    """Return one block; ``runs`` are its records, by seed, and ``shown`` its rows."""
    methods = [name for name in shown if name not in (TEACHER, CONSTANT)]
    by_method = {m: [r for r in runs if r["method"] == m] for m in [TEACHER, *methods]}
    seeds = len({r["seed"] for r in runs if r["method"] != TEACHER})
    metrics = sorted({str(r["metric"]) for r in runs if score_of(r) is not None and r.get("metric")}, key=natural)
    alike = len(metrics) <= 1
    scores = {
        m: {r["seed"]: score for r in by_method[m] if (score := score_of(r)) is not None and alike} for m in methods
    }
    comparison = compare_all(scores)
    means = {m: mean(list(by_seed.values())) for m, by_seed in scores.items() if by_seed}
    ranks = rank(means)
    teachers = [score for r in by_method[TEACHER] if (score := score_of(r)) is not None]
    teacher = mean(teachers) if teachers and alike else None

    def row(name: str) -> Row:
        all_runs = by_method[name]
        done = [r for r in all_runs if score_of(r) is not None]
        values = [float(r["score"]) for r in done]
        best = [value for r in done if (value := finite(r.get("best_validation"))) is not None]
        parameters = [value for r in done if (value := finite(r.get("parameters"))) is not None]
        pair = comparison.find(name, baseline)
        return Row(
            name=name,
            role="teacher" if name == TEACHER else "control" if name in controls else "method",
            seeds=tuple(r["seed"] for r in done),
            scores=tuple(values),
            runs=len(all_runs) if name == TEACHER else max(len(all_runs), seeds),
            mean=mean(values) if values else None,
            deviation=deviation(values),
            kept=mean(values) / teacher if values and teacher is not None and teacher > 0 else None,
            best_validation=mean(best) if best else None,
            rank=ranks.get(name),
            difference=None if name in (TEACHER, baseline) else shared_difference(scores, name, baseline),
            p=pair.p if pair else None,
            verdict="" if name == TEACHER or not alike else verdict(name, baseline, comparison, scores),
            parameters=mean(parameters) if parameters else None,
            failures=tuple(Failure(r["seed"], error_of(r)) for r in all_runs if score_of(r) is None),
        )

    notes = block_notes(comparison, scores, teacher, metrics)
    rows = tuple(constant_row(runs, teacher) if name == CONSTANT else row(name) for name in shown)
    return Block(task, condition, ", ".join(metrics) or None, rows, comparison, tuple(notes))


def constant_row(runs: Sequence[Record], teacher: float | None) -> Row:
    """Return the row of whoever always gives the same answer: one score, unless the rows to score on differ."""
    scores = tuple(sorted({score for r in runs if (score := finite(r.get("constant"))) is not None}))
    average = mean(scores) if scores else None
    kept = average / teacher if average is not None and teacher is not None and teacher > 0 else None
    return Row(CONSTANT, "constant", mean=average, kept=kept)


def verdict(name: str, baseline: str, comparison: Comparison, scores: Mapping[str, Mapping[int, float]]) -> str:
    """Return what the comparison with the baseline says, in words."""
    if not scores.get(name):
        return "no score"
    if name == baseline:
        return "reference"
    if not scores.get(baseline):
        return f"not compared: {baseline} has no score"
    if min(len(scores[name]), len(scores[baseline])) < FEWEST:
        return TOO_FEW
    for which in (name, baseline):
        if which in comparison.lacking:
            return f"not compared: {which} lacks {seed_list(comparison.lacking[which])}"
    pair = comparison.find(name, baseline)
    if pair is None:
        return "not compared"
    if pair.p is None:
        return NO_SPREAD
    if not pair.told_apart:
        return "not told apart"
    return f"{'better' if pair.difference > 0 else 'worse'} than {baseline}"


def block_notes(
    comparison: Comparison,
    scores: Mapping[str, Mapping[int, float]],
    teacher: float | None,
    metrics: Sequence[str],
) -> list[str]:
    """Return what a reader of a block must know, a sentence each."""
    notes = []
    if len(metrics) > 1:
        notes.append(f"The runs have different metrics ({', '.join(metrics)}): nothing is compared.")
    elif teacher is None:
        notes.append("No teacher has a score: no share is kept of it.")
    elif teacher <= 0:
        notes.append("The teacher's score is not above 0: no share is kept of it.")
    n, k = len(comparison.seeds), len(comparison.methods)
    if comparison.critical is not None:
        notes.append(
            f"{k} methods, {n} paired seeds: told apart from |t| = {comparison.critical:.2f} on: a mean difference of "
            f"{comparison.critical / math.sqrt(n):.2f} times its standard deviation over seeds."
        )
    elif 0 < n < FEWEST:
        notes.append(f"{n} paired seed{'s' if n > 1 else ''}: {TOO_FEW}; that takes at least {FEWEST}.")
    left = [f"{m} (lacks {seed_list(seeds)})" for m, seeds in comparison.lacking.items() if scores.get(m)]
    if left:
        notes.append(f"Left out of the comparison: {', '.join(left)}.")
    if flat := [
        f"{p.first} and {p.second}" for p in comparison.pairs if p.t is None and comparison.critical is not None
    ]:
        notes.append(f"No test is possible, for the difference is the same in every seed: {', '.join(flat)}.")
    return notes


def rank_notes(ranks: Ranks, blocks: int) -> list[str]:
    """Return what a reader of average ranks must know."""
    if not blocks:
        return ["There are no runs."]
    notes = []
    if ranks.skipped:
        count = f"{len(ranks.counted)} of {blocks}" if ranks.counted else "none"
        skipped = "; ".join(", ".join(place) for place in ranks.skipped)
        notes.append(f"Average ranks: {count} counted, for a method has no score in: {skipped}.")
    if ranks.unranked:
        notes.append(f"Not ranked, for want of any score: {', '.join(ranks.unranked)}.")
    return notes


def shared_difference(scores: Mapping[str, Mapping[int, float]], name: str, baseline: str) -> float | None:
    """Return the mean of score minus the baseline's over the seeds that both have."""
    shared = shared_differences(scores[name], scores.get(baseline, {}))
    return mean(shared) if shared else None


def shared_differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Return our score minus theirs for each seed that both have."""
    return [score - theirs[seed] for seed, score in ours.items() if seed in theirs]


def score_of(run: Record) -> float | None:
    """Return a run's score; ``None`` if it failed or its score is not a number."""
    return finite(run.get("score")) if run["status"] == "done" else None


def error_of(run: Record) -> str:
    """Return a failed run's error on one line, its paths cut to their last part: they are another machine's."""
    if run["status"] == "done":
        return f"its score is {run.get('score')}"
    text = " ".join(str(run.get("error") or run["status"]).split())
    return re.sub(r"(?<![\w./:])/(?:[^\s/'\"]+/)+", ".../", text)


def finite(value: Any) -> float | None:
    """Return a number; ``None`` for what is none, or is infinite."""
    if value is None or isinstance(value, str | bool) or not math.isfinite(value):
        return None
    return float(value)


def mean(values: Sequence[float]) -> float:
    """Return the mean; the exact sum makes it the same in every order."""
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation (n - 1); ``None`` for fewer than two values."""
    if len(values) < 2:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def seed_list(seeds: Sequence[int]) -> str:
    """Return "seed 1" or "seeds 1, 2"."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def natural(text: str) -> tuple[Any, ...]:
    """Return a key that sorts "n=100" before "n=1000"; texts and numbers alternate in it."""
    parts = re.split(r"(\d+)", str(text))
    return tuple(int(part) if i % 2 else part.lower() for i, part in enumerate(parts)), str(text)
