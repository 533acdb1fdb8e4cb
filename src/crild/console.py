"""What a user sees while a run goes on: lines on stderr, results on stdout."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console

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


def quiet_libraries() -> None:
    """Silence the libraries' own progress bars and reports: crild says what a user needs to know."""
    import transformers

    quiet_datasets()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="torch|transformers|accelerate|datasets")


def quiet_datasets() -> None:
    """Silence `datasets`, which alone is needed to read data."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
