"""Write docs/results.md, its plot and the notebook's second round from the committed results: ``make results``.

The words are in results.md.j2. Which of them, and all numbers, follow from the result files of the tuned grids, which
are read as one, and from the verdicts on experiments/claims.yaml. The small grids beside them are each on their own in
the notebook (second_round.md.j2).
"""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from crild.config import DistillConfig
from crild.config.presets import of_presets
from crild.escaping import escape_markdown
from crild.grid.formats import SETTINGS_COLUMNS, Column, markdown_table, overview
from crild.grid.space import usual
from crild.grid.statistics import compare_all
from crild.grid.table import TEACHER, Block, Row, Summary, finite, mean, summarise
from tools.claims import (
    FAILS,
    HOLDS,
    Claim,
    Verdict,
    by_task,
    interval_text,
    judge,
    points,
    read_claims,
    t_interval,
    table,
)
from tools.committed import ROOT, command, contents, finished, name_of, on_cpu, together
from tools.drawing import svg
from tools.plots import Point, kept_against_cost
from tools.templates import templates

DOCS = ROOT / "docs"
TUNED = ["tuned", "tuned_larger"]
SMALL = ["tuned_noise", "levers", "levers_noise", "rewrites", "further_pairs", "further_reviews", "passes"]
SECOND_ROUND = "notebook/2026-11-second-round.md"
PLOT = "results/kept.svg"
WORDS = {HOLDS: "better", FAILS: "worse"}  # of a verdict on two methods
NEAR = -0.01  # who is shown to lose at most a point to the best may be chosen for its cost


@dataclass(frozen=True)
class Evidence:
    """Result files that are read as one grid, and what a page says of them.

    Attributes:
        files: each one's contents, by name.
    """

    files: Mapping[str, Any]

    @cached_property
    def held(self) -> Mapping[str, Any]:
        """All of them as one."""
        return together(self.files.values())

    @cached_property
    def summary(self) -> Summary:
        """The grid's table."""
        held = self.held
        more = (held.get(name, ()) for name in ("tuning", "left_out"))
        return summarise(held["runs"], held["claim"], held["reference"], held["methods"], *more)

    @property
    def default(self) -> str:
        """What a run does that names no method; the method that the grid compares with, where that is not in it."""
        return DistillConfig.method if DistillConfig.method in self.summary.methods else self.summary.baseline

    @cached_property
    def ranking(self) -> list[str]:
        """Methods with all their seeds, best average rank first; none before every method has a score in some block.

        Of equal ranks the higher mean score comes first.
        """
        average = self.summary.ranks.average
        means = {name: mean([row.mean or 0.0 for row in self.rows(name)]) for name in average}
        return sorted((each for each in average if each not in self.unready), key=lambda e: (average[e], -means[e], e))

    @property
    def unready(self) -> list[str]:
        """Methods with a rank, and fewer seeds than others in a column that counts: two seeds decide nothing."""
        blocks = self.blocks(counted=True)
        short = {row.name for block in blocks for row in block.rows if 0 < len(row.scores) < row.runs}
        return [method for method in self.summary.ranks.average if method in short]

    def rows(self, method: str) -> list[Row]:
        """Return a method's row in each block that counts for the average rank."""
        return [next(row for row in block.rows if row.name == method) for block in self.blocks(counted=True)]

    def by_seed(self, method: str, wholes: Sequence[float] = ()) -> dict[int, float]:
        """Return a method's mean over the blocks that count, for each seed that all of them have.

        Args:
            method: its name.
            wholes: what the score in each block is a share of; else it is the score itself.
        """
        scores = [dict(zip(row.seeds, row.scores, strict=True)) for row in self.rows(method)]
        shared = sorted(set.intersection(*map(set, scores))) if scores else []
        of = wholes or [1.0] * len(scores)
        return {seed: mean([own[seed] / whole for own, whole in zip(scores, of, strict=True)]) for seed in shared}

    @cached_property
    def kept(self) -> dict[str, Point]:
        """What each ranked method keeps of the teacher's score and costs, best first; none of a teacher at 0."""
        wholes = [row.mean for row in self.rows(TEACHER) if row.mean is not None and row.mean > 0]
        if not wholes or len(wholes) < len(self.rows(TEACHER)):
            return {}
        out = []
        for method in self.ranking:
            shares, cost = list(self.by_seed(method, wholes).values()), self.minutes(method)
            if shares and cost is not None:
                out.append(Point(method, cost, mean(shares), t_interval(shares)))
        return {point.name: point for point in sorted(out, key=lambda point: -point.kept)}

    def minutes(self, method: str) -> float | None:
        """Return the mean minutes of a method's runs in the blocks that count; on a CPU core where any were made there.

        On a GPU many runs share it, and how long one takes hangs on who else is at it.
        """
        places = self.summary.ranks.counted
        files = [held for held in self.files.values() if on_cpu(held)] or self.files.values()
        runs = [run for held in files for run in finished(held) if run["method"] == method]
        minutes = [finite(run.get("minutes")) for run in runs if (run["task"], run["condition"]) in places]
        known = [value for value in minutes if value is not None]
        return mean(known) if known else None

    def times_as_long(self, method: str, other: str) -> dict[str, float]:
        """Return a method's minutes as a ratio to another's, by grid, over places and seeds where both have some."""
        out = {}
        for name, held in self.files.items():
            minutes = {
                (each["method"], each["task"], each["condition"], each["seed"]): finite(each.get("minutes"))
                for each in finished(held)
            }
            pairs = [(own, minutes.get((other, *key[1:]))) for key, own in minutes.items() if key[0] == method]
            known = [(own, theirs) for own, theirs in pairs if own and theirs]
            if known:
                out[name] = sum(own for own, _ in known) / sum(theirs for _, theirs in known)
        return out

    @property
    def from_log(self) -> dict[str, int]:
        """How many rows of each task were read off a run's log: those that do not say when they started."""
        runs = finished(self.held)
        return dict(Counter(each["task"] for each in runs if not each.get("started")))

    def conditions(self, name: str) -> str:
        """Return a grid's conditions in words."""
        return ", ".join(dict.fromkeys(run["condition"] for run in self.files[name]["runs"]))

    def versus(self, better: str, than: str, margin: float = 0.0) -> Verdict:
        """Return the verdict on one method against another, over all tasks and conditions."""
        return judge(Claim(claim="", source="", grid=TUNED, better=better, than=than, margin=margin), self.held)

    def against(self, method: str, other: str) -> str:
        """Return a method's difference to another in words."""
        verdict = self.versus(method, other)
        word = WORDS.get(verdict.word, verdict.word)
        return f"{points(verdict.difference)} points against `{other}` ({interval_text(verdict.interval)}: {word})"

    @property
    def differences(self) -> dict[str, Verdict]:
        """What is said of every other method against the one that the grid compares with."""
        baseline = self.summary.baseline
        return {name: self.versus(name, baseline) for name in self.summary.methods if name != baseline}

    @property
    def rivals(self) -> list[str]:
        """Whom the default is held against: the students without a teacher, logits alone, the grid's own, the first."""
        named = dict.fromkeys([*self.summary.controls, "kd", self.summary.baseline, *self.ranking[:3]])
        return [method for method in named if method in self.ranking and method != self.default]

    @property
    def beaten(self) -> list[str] | None:
        """Whom the best is told apart from, all pairs paid for; ``None`` where there are too few seeds to test."""
        comparison = compare_all({method: self.by_seed(method) for method in self.ranking})
        if comparison.critical is None:
            return None
        pairs = {other: comparison.find(self.ranking[0], other) for other in self.ranking[1:]}
        return [other for other, pair in pairs.items() if pair and pair.told_apart and pair.difference > 0]

    @property
    def choice(self) -> str:
        """The cheapest method that is the best, or is shown to lose at most a point to it."""
        best = self.ranking[0]
        near = [p for p in self.kept.values() if p.name == best or self.versus(p.name, best, NEAR).word == HOLDS]
        return min(near, key=lambda point: point.minutes).name if near else best

    @property
    def behind_control(self) -> list[str]:
        """The blocks where a student without a teacher scores no less than the default, on the mean."""
        out = []
        for block in self.summary.blocks:
            means = {row.name: row.mean for row in block.rows if row.mean is not None}
            controls = [means[name] for name in self.summary.controls if name in means]
            if controls and self.default in means and max(controls) >= means[self.default]:
                out.append(block.name)
        return out

    @property
    def short_of_seeds(self) -> list[str]:
        """The cells of the table with fewer seeds than their block."""
        return [
            f"{row.name} on {block.name} ({len(row.scores)} of {row.runs})"
            for block in self.summary.blocks
            for row in block.rows
            if row.role != TEACHER and 0 < len(row.scores) < row.runs
        ]

    @property
    def scores(self) -> str:
        """The teacher, the constant answer and the methods, in the columns that count; in all while none does."""
        counted = self.blocks(counted=True)
        return self.table(counted or self.blocks(counted=False), overview)

    @property
    def in_part(self) -> str:
        """The same in the columns where a method has no score; empty while no column counts, or where all do."""
        rest = self.blocks(counted=False)
        return self.table(rest, lambda summary: overview(summary)[:-1]) if rest and self.summary.ranks.counted else ""

    def blocks(self, counted: bool) -> tuple[Block, ...]:
        """Return the tasks and conditions that count for the average rank, or the others."""
        places = self.summary.ranks.counted
        return tuple(block for block in self.summary.blocks if ((block.task, block.condition) in places) == counted)

    def table(self, blocks: tuple[Block, ...], columns: Callable[[Summary], list[Column[Row]]]) -> str:
        """Return a row a method and a column a block as a Markdown table."""
        # The teacher and the constant answer come first; a method without all its seeds last.
        places = {name: place for place, name in enumerate([*self.ranking, *self.unready], 1)}
        rows = sorted(blocks[0].rows, key=lambda row: places.get(row.name, 0))
        return "\n".join(markdown_table(columns(replace(self.summary, blocks=blocks)), rows))

    @property
    def settings(self) -> str:
        """What the search found for each task, condition and method."""
        return "\n".join(markdown_table(SETTINGS_COLUMNS, self.summary.tunings))

    @cached_property
    def won(self) -> dict[str, Counter[str]]:
        """How often each setting was among those that a method with a teacher was found to need.

        Under ``usual``: whether rates, head and what is kept are all those that act without a search.
        """
        out: dict[str, Counter[str]] = {"student_head": Counter(), "keep": Counter(), "usual": Counter()}
        for each in self.summary.tunings:
            if each.settings is None or each.method in self.summary.controls:
                continue
            found = {n: v for n, v in each.settings.items() if n in out or n.endswith("_learning_rate")}
            unsearched = usual(DistillConfig(), {name: [value] for name, value in found.items()})
            out["usual"][str(unsearched == found)] += 1
            for name in ("student_head", "keep"):
                out[name][str(found.get(name))] += 1
        return out

    @property
    def seeds(self) -> list[int]:
        """The training seeds of the students."""
        return sorted({run["seed"] for run in self.held["runs"] if run["method"] != TEACHER})

    @property
    def machines(self) -> dict[str, str]:
        """The machines that each grid ran on, in words."""
        return {name: "; ".join(map(in_words, held["machines"])) for name, held in self.files.items()}

    def millions(self, method: str) -> str:
        """Return a model's parameters, in millions; of several sizes each."""
        held = {row.parameters for b in self.summary.blocks for row in b.rows if row.name == method and row.parameters}
        return " or ".join(dict.fromkeys(f"{size / 1e6:.1f}" for size in sorted(held))) + " M"

    @property
    def one_row(self) -> str:
        """The command that makes a row of the table again."""
        grid, held = next(iter(self.files.items()))
        runs = [run for run in finished(held) if run["method"] != TEACHER]
        first = next((run for run in runs if run["method"] == self.default), runs[0])
        return shlex.join(command(grid, name_of(first), "grids/again"))


def in_words(each: Mapping[str, Any]) -> str:
    """Return a machine and its versions in words."""
    made = each["machine"]
    where = made["gpu"] or f"{made['threads']} thread(s) of a CPU ({made['processor']})"
    return f"{where}, torch {each['versions']['torch']}, transformers {each['versions']['transformers']}"


def code(names: Sequence[str]) -> str:
    """Return "`a`, `b` and `c`"."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def pages(held: Callable[[str], Any] = contents) -> dict[str, str]:
    """Return docs/results.md, its plot and the notebook's page where there is one, by their paths below docs/.

    Args:
        held: returns what the result file of a name holds, or ``None``.
    """
    files = {name: found for name in TUNED if (found := held(name))}
    tuned = Evidence(files) if files else None
    small = {name: Evidence({name: found}) for name in SMALL if (found := held(name))}
    claims = read_claims()
    environment = templates()
    filters = {"e": escape_markdown, "code": code, "points": points, "interval": interval_text, "by_task": by_task}
    environment.filters |= filters
    words = {claim.claim: judge(claim, claim.held(held)).word for claim in claims}
    text = environment.get_template("results.md.j2").render(
        tuned=tuned,
        failed=[sentence for sentence, word in words.items() if word == FAILS],
        words=words,
        claims=table(claims, held),
        plot=PLOT,
        teacher=TEACHER,
        epochs=partial(of_presets, setting="epochs"),
        second_round=SECOND_ROUND if small else None,
        passes=small.get("passes"),
        on_cpu=[name for name, found in files.items() if on_cpu(found)],
    )
    out = {"results.md": text}
    if small:
        out[SECOND_ROUND] = environment.get_template("second_round.md.j2").render(grids=small, words=WORDS)
    if tuned is not None and tuned.kept:
        figure = kept_against_cost(list(tuned.kept.values()), tuned.default, tuned.summary.controls)
        out[PLOT] = svg(figure)
    return out


if __name__ == "__main__":
    made = pages()
    for name, text in made.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")
    print(f"{', '.join(made)} in docs/")
