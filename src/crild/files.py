"""Files that appear whole or not at all, folders that a user may write to, and the files of one stage.

Needs torch, or pandas, only where tensors or tables are written or read.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crild.errors import CrildError
from crild.paths import TRIAL, is_writable
from crild.processes import on_main

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import nn

INPUTS = "inputs"  # folder of what was given in memory
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# In the words of safetensors and of torch, which say it without a number.
FULL_SAID = (
    "No space left on device",
    "PytorchStreamWriter failed",
    "unexpected pos",
    "iostream error",
    "File too large",
)
MEGABYTE = 1_000_000


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give another name to write a file under; renamed, it is never seen half-written, and what failed leaves nothing.

    The name is this process's own: several may write the same file, as runs do that share a cache.

    Raises:
        OSError: it cannot be written, for want of space or rights; it names the file.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


@contextmanager
def room_in(folder: Path, needed: int | None = None) -> Iterator[None]:
    """Say of a full disk what it is: one line with what is free and, where that is known, what is needed.

    Args:
        folder: where something is written.
        needed: bytes.

    Raises:
        CrildError: the folder's disk, or a quota on it, is full.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        name = getattr(error, "filename", None)  # where it is known, perhaps on another disk
        place = Path(name).parent if name else folder
        free = shutil.disk_usage(next(each for each in (place, *place.absolute().parents) if each.exists())).free
        needs = f", {needed / MEGABYTE:.1f} MB are needed" if needed else ""
        raise CrildError(
            f"{place}: the disk is full ({free / MEGABYTE:.1f} MB are free{needs}): make room, then the same command "
            "goes on from where it was"
        ) from error


def is_full(error: BaseException) -> bool:
    """Whether this is what writing to a full disk raises: torch and safetensors say it in words of their own."""
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return not isinstance(error, CrildError) and any(words in str(error) for words in FULL_SAID)


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it, so that it is never seen half-written."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_frame(path: Path, frame: "pd.DataFrame") -> None:
    """Write a table in the format of the file's ending, whole or not at all; CSV has a list as the text of a JSON one.

    Args:
        path: ends in ``.csv``, ``.jsonl`` or ``.parquet``.
        frame: the table.
    """

    def spelled(value: object) -> object:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value

    with whole(path) as part:
        match path.suffix.lower():
            case ".csv":
                frame.map(spelled).to_csv(part, index=False)
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


def clear_parts(folder: Path) -> None:
    """Remove the half-written files that killed processes have left in a run's folder; no other may work in it."""
    for part in (*folder.glob("*.part"), *folder.glob("stages/*/*.part")):
        if part.is_file():
            part.unlink(missing_ok=True)


def save_weights(path: Path, model: "nn.Module") -> None:
    """Save a module's tensors, whole or not at all."""
    from safetensors.torch import save_file

    state = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    with room_in(path.parent, sum(x.nbytes for x in state.values())), whole(path) as part:
        save_file(state, part, metadata={"format": "pt"})


def load_weights(path: Path, model: "nn.Module") -> bool:
    """Load a module's tensors; return whether the file is there and can be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (FileNotFoundError, SafetensorError):
        return False
    model.load_state_dict(tensors)
    return True


def cached_array(path: Path, compute: "Callable[[], np.ndarray]") -> "np.ndarray":
    """Return the array in a safetensors file, computed and written once; anew where the file is damaged.

    All processes of a run call it and ``compute``; the first one reads and writes.
    """
    if (kept := on_main(lambda: load_array(path))) is not None:
        return kept
    array = compute()
    on_main(lambda: write_array(path, array))
    return array


def write_array(path: Path, array: "np.ndarray") -> None:
    """Write an array, whole or not at all; several runs may do so at once."""
    import torch
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with room_in(path.parent, array.nbytes), whole(path) as part:
        save_file({"array": torch.from_numpy(array)}, part)


def load_array(path: Path) -> "np.ndarray | None":
    """Return the array that `write_array` wrote; ``None`` where there is none, or none that can be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)["array"]
    except (FileNotFoundError, SafetensorError):
        return None


def writable_folder(option: str, name: str) -> Path:
    """Return a folder that is there and can be written to, or can be made; touch nothing.

    Raises:
        CrildError: it can be neither.
    """
    path = Path(name).expanduser()
    if path.exists() and not path.is_dir():
        raise CrildError(f"{option} {name}: a file of that name exists; choose a folder")
    above = path if path.exists() else next(parent for parent in path.absolute().parents if parent.exists())
    with room_in(above):
        writable = is_writable(above)
    if not writable:
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
    return path.name.endswith((".part", ".lock")) or path.name.startswith(TRIAL)


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
