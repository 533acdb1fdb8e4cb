"""What a user sees while a run goes on: records of the logger ``crild``; results go to stdout.

Until somebody configures logging, they are lines on stderr. Handlers of the logger ``crild`` or of the root logger get
them instead. Only the command line says where they go, whatever logging is set up to do.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console

from crild.escaping import visible
from crild.processes import is_main

logger = logging.getLogger("crild")


class Lines(logging.Handler):
    """Shows each record as one line, warnings in yellow.

    Args:
        file: where; stderr (whatever it is at the time) without one.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        super().__init__()
        self.console = Console(file=file, stderr=file is None, highlight=False, soft_wrap=True)

    @property
    def shows(self) -> bool:
        """Whether it is this handler that shows lines."""
        return logger.isEnabledFor(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        is_warning = record.levelno >= logging.WARNING
        text = visible(f"warning: {self.format(record)}" if is_warning else self.format(record))
        self.console.print(text, style="yellow" if is_warning else None, markup=False)


class DefaultLines(Lines):
    """Shows lines as long as nobody has configured logging."""

    @property
    def shows(self) -> bool:
        """Whether nobody has."""
        return super().shows and not self.is_replaced

    @property
    def is_replaced(self) -> bool:
        """Whether another handler gets the records."""
        return bool(logging.getLogger().handlers) or any(each is not self for each in logger.handlers)

    def emit(self, record: logging.LogRecord) -> None:
        if not self.is_replaced:
            super().emit(record)


logger.addHandler(DefaultLines())
if logger.level == logging.NOTSET:
    logger.setLevel(logging.INFO)

# A time is estimated from few steps, and others share the machine.
SHORTER, LONGER = 0.8, 1.3
MOST_MINUTES = 90  # more is told in hours


@contextmanager
def into(file: IO[str] | None = None) -> Iterator[None]:
    """Send all that crild says to a file (``None``: stderr) and nowhere else."""
    before, passed_on, level = list(logger.handlers), logger.propagate, logger.level
    logger.handlers[:], logger.propagate = [Lines(file)], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers[:], logger.propagate = before, passed_on
        logger.setLevel(level)


def quiet() -> None:
    """Say nothing but warnings from now on, and show no progress bars.

    It is ``logging.getLogger("crild").setLevel(logging.WARNING)``; with ``logging.INFO`` everything is said again.

    Example:
        >>> crild.quiet()
    """
    logger.setLevel(logging.WARNING)


def terminal() -> Console | None:
    """Return the terminal that lines are shown on, for a progress bar; ``None`` where they are shown on none."""
    if not is_main():
        return None
    shown = (each.console for each in logger.handlers if isinstance(each, Lines) and each.shows)
    return next((console for console in shown if console.is_terminal), None)


def say(message: str) -> None:
    """Say one line; of several processes that work together, the first one alone does."""
    if is_main():
        logger.info("%s", message)


def warn(message: str) -> None:
    """Say one warning, as `say` does."""
    if is_main():
        logger.warning("%s", message)


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
