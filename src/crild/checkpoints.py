"""Checkpoints of a stage: which there are, and whether one is whole. Needs no torch."""

import hashlib
import json
from pathlib import Path

KEPT = 2  # so many stay while a stage runs: the newest may turn out to be damaged
PREFIX, SUMS = "checkpoint-", "sums.json"


def checkpoints(stage: Path) -> list[Path]:
    """Return the checkpoints in a stage's folder that were written to their end, oldest first."""
    return sorted(stage.glob(f"{PREFIX}*"), key=step_of)


def steps_done(stage: Path) -> int:
    """Return the optimiser steps that are safe in a whole checkpoint."""
    return next((step_of(each) for each in reversed(checkpoints(stage)) if flaw(each) is None), 0)


def step_of(checkpoint: Path) -> int:
    """Return the optimiser steps that a checkpoint was written after."""
    return int(checkpoint.name.removeprefix(PREFIX))


def seal(checkpoint: Path) -> None:
    """Note bytes and SHA-256 of every file of a checkpoint that is complete."""
    files = sorted(file for file in checkpoint.rglob("*") if file.is_file())  # a sharded optimiser has a folder
    sums = {
        file.relative_to(checkpoint).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256(file)}
        for file in files
    }
    (checkpoint / SUMS).write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")


def flaw(checkpoint: Path, thorough: bool = True) -> str | None:
    """Return what is wrong with a checkpoint's files, in words; ``None`` where they are as they were written.

    Args:
        checkpoint: its folder.
        thorough: read every byte; else sizes are compared alone.
    """
    try:
        sums = json.loads((checkpoint / SUMS).read_text(encoding="utf-8"))
        for name, noted in sums.items():
            file = checkpoint / name
            if not file.is_file():
                return f"{name} is missing"
            if (size := file.stat().st_size) != noted["bytes"]:
                return f"{name} has {size} of {noted['bytes']} bytes"
            if thorough and sha256(file) != noted["sha256"]:
                return f"{name} is not as it was written"
    except OSError as error:  # no sums, or a bad block
        return f"{error.strerror}: {error.filename}"
    except (ValueError, AttributeError, TypeError, KeyError):
        return f"{SUMS} cannot be read"
    return None


def sha256(file: Path) -> str:
    """Return a file's SHA-256."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
