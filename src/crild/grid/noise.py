"""Robustness to noise of a grid's methods: what `crild diagnose` found of their runs, where it was asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from crild.grid.table import Record
from crild.run.folder import RunFolder


@dataclass(frozen=True)
class Noise:
    """The students of a method on one task under one condition, with noise on their weights.

    Attributes:
        task, condition, method: names in the grid.
        scales: of the noise.
        mean, low, high: score on held-out rows by scale: mean, lowest and highest of the runs.
    """

    task: str
    condition: str
    method: str
    scales: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def noise_of(records: Iterable[Record], folder: Path) -> list[Noise]:
    """Return the curves of every method of which a run was diagnosed.

    Args:
        records: of the grid's runs, see `crild.grid.run.record`.
        folder: of the grid.
    """
    curves: dict[tuple[str, str, str], dict[tuple[float, ...], list[list[float]]]] = {}
    for record in records:
        found = RunFolder(folder / record["folder"]).diagnostics.get("noise") if record.get("folder") else None
        if found is None or "student" not in found["models"]:
            continue
        key = (record["task"], record["condition"], record["method"])
        curve = found["models"]["student"]["held_out"]["score"]["mean"]
        curves.setdefault(key, {}).setdefault(tuple(found["scales"]), []).append(curve)
    out = []
    for key, by_scales in curves.items():
        scales, runs = max(by_scales.items(), key=lambda each: len(each[1]))  # of other scales there is no mean
        columns = list(zip(*runs, strict=True))
        mean = tuple(sum(each) / len(each) for each in columns)
        out.append(Noise(*key, scales, mean, tuple(map(min, columns)), tuple(map(max, columns))))
    return out
