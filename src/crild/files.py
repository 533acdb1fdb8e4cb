"""Files that appear whole or not at all, folders that a user may write to, and the files of one stage."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from crild.errors import CrildError

INPUTS = "inputs"  # folder of what was given in memory


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it, so that it is never seen half-written."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table in the format of the file's ending, whole or not at all; CSV has a list as the text of a JSON one.

    Args:
        path: ends in ``.csv``, ``.jsonl`` or ``.parquet``.
        frame: the table.
    """
    part = path.with_name(path.name + ".part")
    match path.suffix.lower():
        case ".csv":
            plain = frame.map(lambda value: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value)
            plain.to_csv(part, index=False)
        case ".jsonl":
            frame.to_json(part, orient="records", lines=True, force_ascii=False)
        case _:
            frame.to_parquet(part, index=False)
    os.replace(part, path)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder under another name and rename it, replacing what was there; what failed leaves nothing."""
    part, before = (path.with_name(path.name + ending) for ending in (".part", ".before.part"))
    for left in (part, before):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        fill(part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if path.exists():  # renamed, not removed: a process that is killed here loses neither
        os.replace(path, before)
    os.replace(part, path)
    shutil.rmtree(before, ignore_errors=True)


def save_weights(path: Path, model: nn.Module) -> None:
    """Save a module's tensors, whole or not at all."""
    part = path.with_name(path.name + ".part")
    state = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    save_file(state, part, metadata={"format": "pt"})
    os.replace(part, path)


def load_weights(path: Path, model: nn.Module) -> None:
    """Load a module's tensors."""
    model.load_state_dict(load_file(path))


def cached_array(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array in a safetensors file, computed and written once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")  # runs may share the cache
        save_file({"array": torch.from_numpy(compute())}, part)
        os.replace(part, path)
    return load_array(path)


def load_array(path: Path) -> np.ndarray:
    """Return the array that `cached_array` wrote."""
    array: Tensor = load_file(path)["array"]
    return array.numpy()


def check_folder(output: str | None, marker: str, what: str) -> Path:
    """Return an output folder, if it is new, empty, or holds a ``what`` (told by the file ``marker``); touch nothing.

    Raises:
        CrildError: it holds something else, or cannot be written to.
    """
    if not output:
        raise CrildError(f"--output is missing: the folder of the {what}")
    path = Path(output).expanduser()
    if path.exists() and not path.is_dir():
        raise CrildError(f"--output {output}: a file of that name exists; choose a folder")
    above = path if path.exists() else next(parent for parent in path.absolute().parents if parent.exists())
    try:  # whoever is root may write anywhere by name, and cannot in /proc
        os.rmdir(tempfile.mkdtemp(dir=above, prefix=".crild-"))
    except OSError:
        raise CrildError(
            f"--output {output}: {above} is no folder that can be written to; choose another one"
        ) from None
    if path.exists() and not (path / marker).exists() and not all(passing(p) for p in path.iterdir()):
        raise CrildError(f"--output {output}: the folder is not empty and holds no {what}; choose another one")
    return path


def passing(path: Path) -> bool:
    """Whether a file is a trace of a start that came to nothing: half-written, a lock, or inputs alone."""
    if path.name == INPUTS and path.is_dir():
        return all(passing(each) or re.fullmatch(r"\w+-[0-9a-f]{16}(\.parquet)?", each.name) for each in path.iterdir())
    return path.name.endswith((".part", ".lock"))


@dataclass(frozen=True)
class StageFolder:
    """The files of one stage.

    Attributes:
        path: the folder; checkpoints are in it.
    """

    path: Path

    @property
    def weights(self) -> Path:
        """Of the model that the stage trained, at its end."""
        return self.path / "model.safetensors"

    @property
    def objective(self) -> Path:
        """State of the objective at its end: learned maps, masses, filters."""
        return self.path / "objective.safetensors"

    @property
    def done(self) -> Path:
        """There when the stage is finished."""
        return self.path / "done.json"

    @property
    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted(self.path.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[1]))

    @property
    def steps_done(self) -> int:
        """Optimiser steps that are safe in a checkpoint."""
        return max((int(path.name.rsplit("-", 1)[1]) for path in self.checkpoints), default=0)

    @property
    def steps(self) -> Path:
        """Every term of every step, a line each."""
        return self.path / "steps.jsonl"

    @property
    def history(self) -> Path:
        """Every evaluation on the selection rows, a line each."""
        return self.path / "history.jsonl"
