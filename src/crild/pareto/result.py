"""What a search for the fastest student found: its table, and which students are on the Pareto frontier."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from crild.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

UNTRAINED, FOUND = "untrained.json", "frontier.json"  # files of a search
SAME = 1.05  # latencies closer than this are not told apart


@dataclass(frozen=True)
class Served:
    """A model as it would be served, or why it is not.

    Attributes:
        name: of the student and its vocabulary; ``teacher`` for the teacher.
        score: on the held-out rows; ``None`` of one that was not trained.
        difference: to the teacher's, with its paired 95 % ``interval``.
        latency_ms: median milliseconds of a batch, all models taking turns; of one that was not trained, with the
            weights that it would have started from.
        bytes: of the model file.
        path: its folder.
        left_out: why it was not trained or not served.
    """

    name: str
    score: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    latency_ms: float | None = None
    bytes: int | None = None
    path: str | None = None
    left_out: str | None = None


def on_frontier(models: Sequence[Served]) -> list[Served]:
    """Return the models that no other one beats: none is at least as fast, as good and as small, and better in one."""

    def costs(model: Served) -> tuple[float, float, float]:
        return model.latency_ms or 0.0, -(model.score or 0.0), float(model.bytes or 0)

    served = [model for model in models if model.score is not None]
    known = [costs(model) for model in served]

    def beaten(mine: tuple[float, float, float]) -> bool:
        return any(theirs != mine and all(t <= m for t, m in zip(theirs, mine, strict=True)) for theirs in known)

    return [model for model, mine in zip(served, known, strict=True) if not beaten(mine)]


def qualifies(model: Served, within: float, max_latency: float | None) -> bool:
    """Return whether a model loses no more than ``within`` and takes no longer than ``max_latency`` milliseconds."""
    if model.difference is None or model.latency_ms is None:
        return False
    return model.difference >= -within - 1e-9 and (max_latency is None or model.latency_ms <= max_latency)


def fastest(models: Sequence[Served], within: float, max_latency: float | None) -> Served | None:
    """Return the fastest model that qualifies, of those as fast (within 5 %) the smallest; ``None`` if none does."""
    good = [(m.latency_ms, m.bytes, m) for m in models if qualifies(m, within, max_latency)]
    least = min((ms for ms, _, _ in good if ms is not None), default=0.0)
    near = [(size, ms, m) for ms, size, m in good if ms is not None and ms <= least * SAME]
    return min(near, key=lambda each: each[:2])[2] if near else None


@dataclass(frozen=True, repr=False)
class Frontier(Shown, Mapping[str, Any]):
    """Students as they would be served, cheapest first. It prints as a table and reads as a dictionary.

    Attributes:
        metric: of all scores, on ``rows`` held-out rows.
        rows: how many.
        within: what a student may lack of the teacher's score.
        max_latency: milliseconds that a batch may take; ``None`` for any.
        batch, threads: of the measured times.
        teacher: in PyTorch.
        students: cheapest first, those that were left out too.
        fastest: the name of the fastest that qualifies; ``None`` if none does.
        folder: where runs and served models are.
    """

    metric: str
    rows: int
    within: float
    max_latency: float | None
    batch: int
    threads: int
    teacher: Served
    students: tuple[Served, ...]
    fastest: str | None
    folder: str

    @property
    def title(self) -> str:
        """Metric, rows and how times were measured."""
        return (
            f"served students: {self.metric} on {self.rows} held-out rows, milliseconds a batch of {self.batch} with "
            f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        )

    @property
    def remarks(self) -> list[str]:
        """The verdict, and what it rests on."""
        asked = f"within {self.within:g} of the teacher's {self.metric}"
        if self.max_latency is not None:
            asked += f" and {self.max_latency:g} ms"
        if self.fastest is None:
            return [f"no student is {asked}: {self.advice}"]
        found = next(each for each in self.students if each.name == self.fastest)
        assert found.interval is not None
        assert found.latency_ms is not None
        assert self.teacher.latency_ms is not None
        low, high = found.interval
        return [
            f"the fastest {asked} is {found.name}: {found.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}), "
            f"{self.teacher.latency_ms / found.latency_ms:.1f} times as fast; it is in {found.path}",
            f"it was chosen among {sum(each.score is not None for each in self.students)} by these very rows, so its "
            "score is a little optimistic: score it on others before it matters",
        ]

    @property
    def advice(self) -> str:
        """What to do where no student qualifies."""
        scored = [(each.difference, each.name) for each in self.students if each.difference is not None]
        if not scored:
            return "none could be served"
        difference, name = max(scored)
        return (
            f"the best, {name}, is {-difference:.4f} below it; more epochs, further texts (--supplementary, --augment "
            "all) or deeper --students may do it, or a larger --within"
        )

    def verdict(self, model: Served, frontier: Sequence[Served]) -> str:
        """Return a word on one model."""
        if model.left_out is not None:
            return model.left_out
        if model.name == self.fastest:
            return "fastest that qualifies"
        return "on the frontier" if model in frontier else "another is faster and as good"

    def table(self) -> "pd.DataFrame":
        """Return score, difference to the teacher, milliseconds, megabytes and a verdict, a line each model."""
        import pandas as pd

        frontier = on_frontier(self.students)
        lines = {
            each.name: {
                "score": each.score,
                "difference": each.difference,
                "ms": each.latency_ms,
                "times_faster": (self.teacher.latency_ms or 0) / each.latency_ms if each.latency_ms else None,
                "MB": each.bytes and each.bytes / 1e6,
                "verdict": "" if each is self.teacher else self.verdict(each, frontier),
            }
            for each in (self.teacher, *self.students)
        }
        numbers = ["score", "difference", "ms", "times_faster", "MB"]
        return pd.DataFrame.from_dict(lines, orient="index").astype(dict.fromkeys(numbers, float))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        names = {each.name for each in on_frontier(self.students)}
        plain = asdict(self)
        plain["students"] = [dict(each, on_frontier=each["name"] in names) for each in plain["students"]]
        return plain

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(each.name for each in fields(self))

    def __len__(self) -> int:
        return len(fields(self))
