"""How long models take for the same rows, taking turns."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

WARMUP = 2  # rounds that do not count
ROUNDS = {1: 30, 32: 6}  # by batch size, over short texts and over long ones
SECONDS = 30.0  # after which a batch size has had enough rounds, if there were at least three
SETTLE = 0.01  # seconds before a turn: a model's threads wait for more by spinning, PyTorch's for 5 to 9 milliseconds
SEED = 0
MOST_OTHERS = 0.5  # load beside what this process may be itself

Prepare = Callable[[Sequence[int]], Callable[[], object]]
"""Takes row numbers, and returns what answers them: only the call of that is timed."""


@dataclass(frozen=True)
class Times:
    """Median seconds of one call at a batch size.

    Attributes:
        short, long: over the shorter and over the longer half of the rows.
    """

    short: float
    long: float

    @property
    def mean(self) -> float:
        """Of both."""
        return (self.short + self.long) / 2


@contextmanager
def threads_of_torch(threads: int | None) -> Iterator[int]:
    """Give PyTorch so many threads for a while; yield how many it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def busy() -> str | None:
    """Return a note where more wants to run on this machine than it has processors for: then times mislead."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    cores = os.cpu_count() or 1
    if load <= cores + MOST_OTHERS:
        return None
    return (
        f"the machine is busy (load {load:.1f} on {cores} processors), so times mislead, most of all those of several "
        "threads: export again when it is quiet, or with --threads 1"
    )


def time_models(models: Mapping[str, Prepare], lengths: Sequence[int], batch_size: int) -> dict[str, Times]:
    """Return each model's median times; in every round all models answer the same rows, another one first.

    Args:
        models: by name.
        lengths: of the rows, in tokens.
        batch_size: rows of one call.
    """
    measured = {
        kind: take_turns(models, drawn(rows, batch_size), SECONDS / 2) for kind, rows in halves(lengths).items()
    }
    return {name: Times(**{kind: float(np.median(times[name])) for kind, times in measured.items()}) for name in models}


def halves(lengths: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the numbers of the shorter and of the longer half of the rows."""
    order = np.argsort(lengths, kind="stable")
    middle = len(order) // 2
    return {"short": order[: max(1, middle)], "long": order[middle:]}


def drawn(rows: np.ndarray, batch_size: int) -> list[list[int]]:
    """Return the rows of each round, drawn at random; few rows come again."""
    rounds = WARMUP + ROUNDS[batch_size]
    order = np.resize(np.random.default_rng(SEED).permutation(rows), rounds * batch_size)
    return [part.tolist() for part in order.reshape(rounds, batch_size)]


def take_turns(
    models: Mapping[str, Prepare], rounds: Sequence[Sequence[int]], seconds: float = SECONDS
) -> dict[str, list[float]]:
    """Return the seconds of each model's every call; see `time_models`.

    Each call follows one of the same model that does not count, as in a server that holds one model: what another one
    left in the caches, and its threads, cost nothing.
    """
    times: dict[str, list[float]] = {name: [] for name in models}
    names, began = list(models), time.perf_counter()
    for number, rows in enumerate(rounds):
        calls = {name: models[name](rows) for name in names}
        for name in names:
            time.sleep(SETTLE)
            calls[name]()
            start = time.perf_counter()
            calls[name]()
            if number >= WARMUP:
                times[name].append(time.perf_counter() - start)
        names = [*names[1:], names[0]]
        if time.perf_counter() - began > seconds and number >= WARMUP + 2:
            break
    return times
