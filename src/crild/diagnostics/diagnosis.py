"""What was found out about finished runs: typed, printable, and as plain values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from crild.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "score": "on all held-out rows, as the run has it",
    "gap": "score on training rows less that on held-out rows",
    "drop": "what the score loses by noise a fifth as long as the weights",
    "curvature": "largest Hessian eigenvalue of the task's loss, training rows",
    "explained": "share of what the teacher's head reads, on held-out rows",
    "CKA": "likeness of its last layer and the teacher's",
    "probe": "score of a linear classifier on its last layer",
    "flips": "share of wrong labels given on purpose that it gives back",
}
"""Of the table, and what they are."""


@dataclass(frozen=True)
class Examined:
    """One run.

    Attributes:
        name: of the run in the table.
        path: its folder.
        metric: of its scores.
        figures: of each diagnostic that ran, as its file holds them.
        summary: by model, what the table has of them; ``None`` where that is no number.
        left_out: diagnostics that did not run, and why.
        notes: what is missing.
    """

    name: str
    path: str
    metric: str
    figures: dict[str, dict[str, Any]]
    summary: dict[str, dict[str, float | None]]
    left_out: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Diagnosis(Shown, Mapping[str, Any]):
    """Runs side by side. It also reads as a dictionary of the runs' names: ``diagnosis["cr-ild"]["summary"]``.

    Attributes:
        runs: in the order in which they were named.
    """

    runs: tuple[Examined, ...]

    @property
    def title(self) -> str:
        """What the table is of."""
        return f"diagnosis of {', '.join(run.name for run in self.runs)}; scores: {', '.join(self.metrics)}"

    @property
    def metrics(self) -> list[str]:
        """Of the scores, each once."""
        return list(dict.fromkeys(run.metric for run in self.runs))

    @property
    def remarks(self) -> list[str]:
        """What was left out, and what is missing."""
        prefix = {run.name: f"{run.name}: " if len(self.runs) > 1 else "" for run in self.runs}
        notes = [f"{prefix[run.name]}{note}" for run in self.runs for note in run.notes]
        why = [(prefix[run.name], name, reason) for run in self.runs for name, reason in run.left_out.items()]
        return notes + [f"{run}{name} is left out: {reason}" for run, name, reason in why]

    def table(self) -> "pd.DataFrame":
        """Return the columns of `COLUMNS` that are known, a line for each run and model."""
        import pandas as pd

        lines = {(run.name, role): found for run in self.runs for role, found in run.summary.items()}
        table = pd.DataFrame.from_dict(lines, orient="index", columns=list(COLUMNS))
        table.index.names = ["run", "model"]
        return table.astype(float).dropna(axis="columns", how="all")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            run.name: {
                "path": run.path,
                "metric": run.metric,
                "summary": run.summary,
                "left_out": run.left_out,
                "notes": list(run.notes),
                "figures": run.figures,
            }
            for run in self.runs
        }

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.runs)


def screen(found: Diagnosis) -> Group:
    """Return the table with a legend of its columns, in 80 columns of a terminal."""
    columns = [name for name in COLUMNS if any(name in line for run in found.runs for line in run.summary.values())]
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False)
    for heading in ("run", "model"):
        table.add_column(heading, overflow="fold")
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for run in found.runs:
        for place, (role, line) in enumerate(run.summary.items()):
            table.add_row(Text(run.name if place == 0 else ""), role, *(number(line.get(name)) for name in columns))
    legend = [Text(f"{name:10}{COLUMNS[name]}") for name in columns]
    return Group(Text(f"score: {', '.join(found.metrics)}", style="bold"), table, *legend)


def number(value: float | None) -> str:
    """Return a number in few letters: shares with three digits, others with three that count."""
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.3g}"


def names_of(paths: Sequence[str]) -> list[str]:
    """Return a name for each run: its folder's, or its whole path where two folders have the same name."""
    from pathlib import Path

    names = [Path(path).expanduser().resolve().name for path in paths]
    return [name if names.count(name) == 1 else path for name, path in zip(names, paths, strict=True)]
