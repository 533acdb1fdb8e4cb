"""What a user sees while a run goes on: lines and progress bars on stderr, results on stdout."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import datasets
import transformers
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

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
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="torch|transformers|accelerate|datasets")


class StageProgress(TrainerCallback):
    """A progress bar with time left on a terminal; a line per evaluation anywhere."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.bar: Progress | None = None
        self.task: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TextColumn("left"), TimeRemainingColumn(), console=console, transient=True,
            )  # fmt: skip
            self.task = self.bar.add_task(self.title, total=state.max_steps, completed=state.global_step)
            self.bar.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=state.global_step)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        entry = kwargs["metrics"]
        terms = "  ".join(f"{name} {value:.4g}" for name, value in entry["held_out"].items())
        score = f"  selection score {entry['score']:.4f}" if "score" in entry else ""
        say(f"{self.title}: step {state.global_step}/{args.max_steps}  held out: {terms}{score}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
