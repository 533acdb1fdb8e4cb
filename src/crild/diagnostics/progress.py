"""How far a diagnostic is: a bar on a terminal, elsewhere a line now and then."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crild.console import say, terminal

FIRST, EVERY = 10.0, 30.0  # seconds to the first line, and between two
T = TypeVar("T")


def track(items: Sequence[T], title: str) -> Iterator[T]:
    """Yield the items and show how many of them are done."""
    if (console := terminal()) is not None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("left"),
                   TimeRemainingColumn())  # fmt: skip
        with Progress(*columns, console=console, transient=True) as progress:
            yield from progress.track(items, description=title)
        return
    due = time.monotonic() + FIRST
    for done, item in enumerate(items):
        if time.monotonic() > due:
            say(f"{title}: {done} of {len(items)}")
            due = time.monotonic() + EVERY
        yield item
