"""What a user sees while a run goes on: lines on stderr, results on stdout."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console

# A time is estimated from few steps, and others share the machine.
SHORTER, LONGER = 0.8, 1.3
MOST_MINUTES = 90  # more is told in hours

console = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def into(file: IO[str]) -> Iterator[None]:
    """Send what crild says to a file."""
    global console
    before, console = console, Console(file=file, highlight=False, soft_wrap=True)
    try:
        yield
    finally:
        console = before


def say(message: str) -> None:
    """Print one line on stderr."""
    console.print(message, markup=False)


def warn(message: str) -> None:
    """Print one warning on stderr."""
    console.print(f"warning: {message}", style="yellow", markup=False)


def about(minutes: float) -> str:
    """Return an estimated time in words, as a range: ``about 6 to 9 minutes``."""
    if minutes * LONGER < 1:
        return "less than a minute"
    if minutes * LONGER > MOST_MINUTES:
        return f"about {minutes * SHORTER / 60:.1f} to {minutes * LONGER / 60:.1f} hours"
    low = max(1, round(minutes * SHORTER))
    return f"about {low} to {max(low + 1, round(minutes * LONGER))} minutes"


def quiet_libraries() -> None:
    """Silence the libraries' own progress bars and reports: crild says what a user needs to know."""
    import datasets
    import transformers

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="torch|transformers|accelerate|datasets")
