"""A stage in trackers: TensorBoard, W&B, MLflow and trackio, through the callbacks that the Trainer has for them.

A stage is a run of a tracker, for its steps count from 0. Opened here is what those callbacks would open under another
name at every start; what they find open they write into.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

from crild.config.trackers import MLFLOW, TENSORBOARD, TRACKIO, WANDB
from crild.errors import CrildError, first_line
from crild.files import write_whole

PROJECT = "crild"
DIGITS = 6  # of a run's identity, in the name that trackers show


@dataclass(frozen=True)
class Tracking:
    """What trackers know of a run.

    Attributes:
        trackers: their names.
        name: of the run.
        file: holds what tells the run from others of its name, and what trackers call its stages.
        events: folder of TensorBoard's files.
    """

    trackers: tuple[str, ...]
    name: str
    file: Path
    events: Path

    def known(self) -> dict[str, Any]:
        """Return what the file holds, which is made where it is not there."""
        if self.file.exists():
            held: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
            return held
        self.note(made := {"id": uuid4().hex, MLFLOW: {}})
        return made

    def note(self, known: Mapping[str, Any]) -> None:
        """Write the file."""
        write_whole(self.file, json.dumps(known, indent=2) + "\n")


@dataclass(frozen=True)
class Followed:
    """What a Trainer is told of the trackers: arguments, and callbacks beside those that it adds itself."""

    arguments: Mapping[str, Any]
    callbacks: tuple[TrainerCallback, ...] = ()


@contextmanager
def followed(tracking: Tracking | None, stage: str, done: int = 0) -> Iterator[Followed]:
    """Open a stage in the trackers of a run, or go on with what an earlier start opened; close it in the end.

    Args:
        tracking: ``None`` for no tracker.
        stage: its name.
        done: steps that are safe in a checkpoint; what TensorBoard has of later ones is forgotten.

    Raises:
        CrildError: a tracker cannot be opened.
    """
    if tracking is None or not tracking.trackers:
        yield Followed({"report_to": "none"})
        return
    known = tracking.known()
    run = f"{tracking.name}-{known['id'][:DIGITS]}"
    name = f"{run}/{stage}"
    callbacks: list[TrainerCallback] = []
    with ExitStack() as closing:
        for tracker in tracking.trackers:
            try:
                if tracker == TENSORBOARD:
                    callbacks.append(tensorboard(tracking.events / stage, done, closing.callback))
                elif tracker == WANDB:
                    wandb(name, run, f"{known['id']}-{stage}", tracking.file.parent, closing.push)
                elif tracker == MLFLOW:
                    known[MLFLOW][stage] = mlflow(name, known[MLFLOW].get(stage), closing.push)
                    tracking.note(known)
            except Exception as error:  # whatever a tracker raises: no account, no network, another version
                raise CrildError(f"--report-to {tracker}: it cannot be opened ({first_line(error)})") from None
        others = [each for each in tracking.trackers if each != TENSORBOARD]
        yield Followed({"report_to": others or "none", "run_name": name, "project": PROJECT}, tuple(callbacks))


def log_figures(tracking: Tracking, part: str, figures: Mapping[str, float]) -> None:
    """Write figures that belong to no step into trackers, in a run of their own beside those of the stages.

    Args:
        tracking: names the trackers.
        part: of the run, as a stage's name.
        figures: by name, the same in every tracker.

    Raises:
        CrildError: a tracker cannot be opened.
    """
    with followed(tracking, part) as opened:
        for callback in opened.callbacks:  # TensorBoard's
            for name, value in figures.items():
                callback.tb_writer.add_scalar(name, value, 0)  # type: ignore[attr-defined]
        if WANDB in tracking.trackers:
            import wandb as library

            library.log(dict(figures))
        if MLFLOW in tracking.trackers:
            import mlflow as library

            library.log_metrics(dict(figures))
        if TRACKIO in tracking.trackers:
            import trackio as library  # type: ignore[import-not-found]

            library.init(project=PROJECT, name=opened.arguments["run_name"], resume="allow")
            library.log(dict(figures))
            library.finish()


def tensorboard(folder: Path, done: int, at_end: Callable[..., Any]) -> TrainerCallback:
    """Return the Trainer's callback with a writer into ``folder``; readers forget steps after ``done``."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=done + 1 if folder.exists() else None)
    at_end(writer.close)
    return TensorBoardCallback(writer)


def wandb(name: str, group: str, identity: str, folder: Path, at_end: Callable[..., Any]) -> None:
    """Open a W&B run, unless the caller has one open."""
    import wandb as library

    if library.run is not None:
        return
    library.init(
        project=os.getenv("WANDB_PROJECT", PROJECT), name=name, group=group, id=identity, resume="allow",
        dir=os.getenv("WANDB_DIR", str(folder)),
    )  # fmt: skip
    at_end(lambda kind, *_: library.finish(exit_code=int(kind is not None)))


def mlflow(name: str, earlier: str | None, at_end: Callable[..., Any]) -> str:
    """Open an MLflow run, unless the caller has one open; return its identity.

    Args:
        name: of a new one.
        earlier: identity of the one that an earlier start began.
        at_end: takes what closes it.
    """
    import mlflow as library

    if (active := library.active_run()) is not None:
        return str(active.info.run_id)
    if not os.getenv("MLFLOW_EXPERIMENT_NAME") and not os.getenv("MLFLOW_EXPERIMENT_ID"):
        library.set_experiment(PROJECT)
    try:
        run = library.start_run(run_id=earlier, run_name=name)
    except library.MlflowException:
        if earlier is None:
            raise
        run = library.start_run(run_name=name)  # the earlier one is gone
    at_end(lambda kind, *_: library.end_run("FAILED" if kind is not None else "FINISHED"))
    return str(run.info.run_id)
