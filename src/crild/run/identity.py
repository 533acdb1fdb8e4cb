"""What makes a run this run: its options, and the *contents* of the files that they name.

A folder that was moved holds the same run; a teacher that was trained anew under the same name makes another one.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from crild.data.tweets import model_folder

SHIPPED_BESIDE = {".md", ".gitattributes", ".lock"}  # files of a model's folder that change nothing that is computed

PATH_OPTIONS = ("data", "validation", "supplementary", "base", "teacher", "student", "plugin")
LAYERS = re.compile(r"half|((first|last|every):)?\d+|\d+(,\d+)+")  # what --student may say besides a path


def names_files(option: str, value: Any) -> bool:
    """Return whether an option's value is the name of a file, a folder or something on the hub."""
    return option in PATH_OPTIONS and isinstance(value, str) and not (option == "student" and LAYERS.fullmatch(value))


def by_content(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's options with the contents of files in place of their names."""
    return {
        name: content(model_folder(value)) if names_files(name, value) else value for name, value in options.items()
    }


def content(name: str) -> str:
    """Return what a path holds, as a SHA-256 over names and bytes of its files; a hub name stands for itself."""
    path = Path(name).expanduser()
    if not path.exists():
        return f"hub:{name}"
    digest = hashlib.sha256()
    for file in sorted(files_in(path)):
        where = file.relative_to(path) if file != path else Path(file.suffix)
        digest.update(f"{where.as_posix()}\0{hash_of(file)}\n".encode())
    return digest.hexdigest()


def files_in(path: Path) -> list[Path]:
    """Return a file itself, or the files below a folder that count."""
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and file.suffix not in SHIPPED_BESIDE]


def hash_of(file: Path) -> str:
    """Return a file's SHA-256, computed once while the file stays as it is."""
    state = file.stat()
    return _hash(str(file.resolve()), state.st_size, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=4096)
def _hash(file: str, size: int, changed: int, inode: int) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
