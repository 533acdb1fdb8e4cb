"""How far a stage is: a progress bar on a terminal, a line now and then elsewhere; a line per evaluation anywhere."""

import time
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from crild.console import about, say, terminal

FIRST, EVERY = 5.0, 30.0  # seconds: from the first step to the first line, and between two lines, at the most


class StageProgress(TrainerCallback):
    """A progress bar with time left on a terminal; elsewhere lines with step, loss, rate and time left.

    Args:
        title: of the stage.
        planned: about how many minutes it takes; ``None`` where nobody estimated.
        rest: about how many minutes what follows it takes; corrected by how far this stage is from ``planned``.
    """

    def __init__(self, title: str, planned: float | None = None, rest: float = 0.0) -> None:
        self.title, self.planned, self.rest = title, planned, rest
        self.bar: Progress | None = None
        self.task: Any = None
        self.loss: Tensor | float = 0.0  # of the step, so far
        self.hook: Any = None
        self.step_before = 0  # where this process began
        self.began = self.next_line = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.step_before, self.began = state.global_step, time.monotonic()
        if (console := terminal()) is not None:
            self.bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TextColumn("left"), TimeRemainingColumn(), console=console, transient=True,
            )  # fmt: skip
            self.task = self.bar.add_task(self.title, total=state.max_steps, completed=state.global_step)
            self.bar.start()
        else:
            self.hook = kwargs["model"].register_forward_hook(self._add_loss)

    def _add_loss(self, model: nn.Module, inputs: Any, output: dict[str, Any]) -> None:
        self.loss = self.loss + output["loss"].detach()  # no float yet: that would wait for the device

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.loss = 0.0

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=state.global_step)
            return
        now, done = time.monotonic(), state.global_step - self.step_before
        if done == 1:
            self.next_line = now + FIRST
        seconds = (now - self.began) / done  # of a step, evaluations included
        if now + seconds > self.next_line and state.global_step < state.max_steps:
            self.next_line = now + EVERY
            left = about(self.minutes_left(seconds, state.max_steps - state.global_step, state.max_steps))
            loss = float(self.loss) * args.world_size  # this process's share of it
            say(f"{self.title}: step {state.global_step}/{state.max_steps}  loss {loss:.4g}  "
                f"{1 / seconds:.3g} steps/s  {left} left")  # fmt: skip

    def minutes_left(self, seconds: float, left: int, steps: int) -> float:
        """Return the minutes until the run's end; until the stage's where nobody estimated.

        Args:
            seconds: of a step.
            left: steps.
            steps: of the whole stage.
        """
        slower = seconds * steps / 60 / self.planned if self.planned else 1.0
        return seconds * left / 60 + slower * self.rest

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
        if self.hook is not None:
            self.hook.remove()
            self.hook = None
