"""Paths that a user names: what can only be one, and what is not there. Nothing is loaded: a typo is told at once."""

import errno
import os
import tempfile
from pathlib import Path

from crild.errors import CrildError, nearest

ROWS = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".txt")  # files that data is read from
ANSWERS = (".csv", ".jsonl", ".parquet")  # files that answers are written to
TRIAL = ".crild-"  # begins the name of a folder that is there for a moment


def is_path(name: str) -> bool:
    """Return whether a name can only be a path: no model and no data set on the hub is called so."""
    first, slash, rest = name.partition("/")
    return (
        first in ("", ".", "..", "~")
        or "/" in rest
        or Path(name).suffix.lower() in ROWS
        or bool(slash and Path(first).exists())  # a folder that is here, and in it something misspelt
    )


def refuse_absent(option: str, name: str, kind: str) -> None:
    """Raise `CrildError` where a path is not there; a name that may be one on the hub is left to its loader.

    Args:
        option: whose value it is, as messages call it.
        name: the path.
        kind: what it should be: ``file`` (never on the hub), ``folder``, ``file or folder``.
    """
    path = Path(name).expanduser()
    if (kind == "file" or is_path(name)) and not path.exists():
        beside = [str(each.name) for each in path.parent.iterdir()] if path.parent.is_dir() else []
        raise CrildError(f"{option}: no such {kind}: {name}{nearest(path.name, beside)}")


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder: whoever is root may write anywhere by name, and cannot in /proc.

    Raises:
        OSError: its disk is full.
    """
    try:
        os.rmdir(tempfile.mkdtemp(dir=folder, prefix=TRIAL))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def refuse_answers(option: str, name: str, overwrite: bool) -> None:
    """Raise `CrildError` where answers cannot be written to a file: its ending, its folder, or an earlier file."""
    path = Path(name).expanduser()
    if path.suffix.lower() not in ANSWERS:
        raise CrildError(f"{option}: {name} says no format: end it in {', '.join(ANSWERS[:-1])} or {ANSWERS[-1]}")
    if not path.absolute().parent.is_dir():
        raise CrildError(f"{option}: no such folder: {path.parent}")
    if not is_writable(path.absolute().parent):
        raise CrildError(f"{option} {name}: {path.parent} is no folder that can be written to; choose another one")
    if path.is_dir() or (path.exists() and not overwrite):
        raise CrildError(
            f"{option}: {name} exists: choose another name" + ("" if path.is_dir() else ", or --overwrite")
        )
