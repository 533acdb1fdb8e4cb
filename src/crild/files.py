"""Files that appear whole or not at all, folders that a user may write to, and the files of one stage."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from crild.errors import CrildError, first_line
from crild.paths import is_writable

INPUTS = "inputs"  # folder of what was given in memory


@contextmanager
def whole(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """Give another name to write a file under, and rename it in the end; what failed leaves nothing.

    Raises:
        OSError: it cannot be written, for want of space or rights; it names the file, whichever library wrote it.
    """
    part = path.with_name(path.name + suffix)
    try:
        yield part
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, SafetensorError) or (isinstance(error, OSError) and error.filename is None):
            why = getattr(error, "strerror", None) or first_line(error)
            raise OSError(getattr(error, "errno", errno.EIO), why, str(path)) from None
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is never seen half-written."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table in the format of the file's ending, whole or not at all; CSV has a list as the text of a JSON one.

    Args:
        path: ends in ``.csv``, ``.jsonl`` or ``.parquet``.
        frame: the table.
    """
    with whole(path) as part:
        match path.suffix.lower():
            case ".csv":
                plain = frame.map(lambda x: json.dumps(x, ensure_ascii=False) if isinstance(x, list) else x)
                plain.to_csv(part, index=False)
            case ".jsonl":
                frame.to_json(part, orient="records", lines=True, force_ascii=False)
            case _:
                frame.to_parquet(part, index=False)


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
    state = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    with whole(path) as part:
        save_file(state, part, metadata={"format": "pt"})


def load_weights(path: Path, model: nn.Module) -> None:
    """Load a module's tensors."""
    model.load_state_dict(load_file(path))


def cached_array(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array in a safetensors file, computed and written once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path, f".{os.getpid()}.part") as part:  # runs may share the cache
            save_file({"array": torch.from_numpy(compute())}, part)
    return load_array(path)


def load_array(path: Path) -> np.ndarray:
    """Return the array that `cached_array` wrote."""
    array: Tensor = load_file(path)["array"]
    return array.numpy()


def writable_folder(option: str, name: str) -> Path:
    """Return a folder that is there and can be written to, or can be made; touch nothing.

    Raises:
        CrildError: it can be neither.
    """
    path = Path(name).expanduser()
    if path.exists() and not path.is_dir():
        raise CrildError(f"{option} {name}: a file of that name exists; choose a folder")
    above = path if path.exists() else next(parent for parent in path.absolute().parents if parent.exists())
    if not is_writable(above):
        raise CrildError(f"{option} {name}: {above} is no folder that can be written to; choose another one")
    return path


def check_folder(output: str | None, marker: str, what: str) -> Path:
    """Return an output folder, if it is new, empty, or holds a ``what`` (told by the file ``marker``); touch nothing.

    Raises:
        CrildError: it holds something else, or cannot be written to.
    """
    if not output:
        raise CrildError(f"--output is missing: the folder of the {what}")
    path = writable_folder("--output", output)
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
    def steps(self) -> Path:
        """Every term of every step, a line each."""
        return self.path / "steps.jsonl"

    @property
    def history(self) -> Path:
        """Every evaluation on the selection rows, a line each."""
        return self.path / "history.jsonl"
