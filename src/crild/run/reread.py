"""The data of a finished run, read again: where they are now, and the same as they were."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crild.config import DistillConfig, FinetuneConfig, TrainConfig, build
from crild.data.rows import RowTexts
from crild.data.task import split_task
from crild.errors import CrildError
from crild.files import INPUTS
from crild.run.folder import RunFolder
from crild.run.identity import HUB, content
from crild.run.inputs import read_supplementary
from crild.tasks.registry import TASK_TYPES

DATA = ("data", "validation")


def config_of(run: RunFolder) -> TrainConfig:
    """Return the options of a finished run."""
    return build(FinetuneConfig if run.plan.method is None else DistillConfig, run.options)


def found_again(run: RunFolder, config: TrainConfig, options: Sequence[str] = DATA) -> TrainConfig:
    """Return the options of a finished run with the data's paths where they are now.

    Args:
        run: finished.
        config: its options.
        options: that name the data.

    Raises:
        CrildError: it is not there, or holds something else than it did.
    """
    for option in options:
        name = getattr(config, option, None)
        if not name or name == "held-out":
            continue
        inside = run.path / INPUTS / Path(name).name  # given in memory; the folder may have been moved
        if not Path(name).exists() and inside.exists():
            config = replace(config, **{option: str(inside)})  # type: ignore[arg-type]
        held = run.facts.get("contents", {}).get(option)
        if held is not None and held.startswith(HUB):  # what is read is what was: the commit, where it was known
            config = replace(config, **{option: held.removeprefix(HUB)})
            continue
        holds = content(str(getattr(config, option)))
        if held is not None and held != holds:
            what = "holds something else than then" if Path(name).exists() else f"is not there (from {Path.cwd()})"
            raise CrildError(f"--{option} {name} {what}")
    return config


def texts_of(run: RunFolder) -> list[str]:
    """Return the texts that a finished run learned and chose from: training, selection and supplementary ones.

    Each text of a pair is one. Texts that are held out are not among them, nor what ``--augment`` made of the others.

    Raises:
        CrildError: they are not there, or are others.
    """
    config = found_again(run, config_of(run), (*DATA, "supplementary"))
    task = split_task(config, TASK_TYPES[run.result.kind])
    parts = [task.train, task.selection]
    if name := getattr(config, "supplementary", None):
        parts.append(read_supplementary(config, name, task)[0])
    return [text for rows in parts for texts in RowTexts(rows) for text in texts]
