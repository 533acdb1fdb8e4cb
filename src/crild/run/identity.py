"""What makes a run this run: its options, and the *contents* of the files that they name.

A folder that was moved holds the same run; a teacher that was trained anew under the same name makes another one.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crild import hub
from crild.config import ROW_OPTIONS, DistillConfig, as_dict, read_yaml, with_defaults
from crild.config.student import chooses_layers
from crild.errors import CrildError
from crild.files import check_folder
from crild.paths import is_path

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

HUB = "hub:"
SHIPPED_BESIDE = {".md", ".svg", ".gitattributes", ".lock"}  # files of a model's folder: they change no result


def content(name: str, repo_type: str = "model", revision: str | None = None) -> str:
    """Return what a path holds, as a SHA-256 over names and bytes of its files; of a hub name its commit.

    Args:
        name: of either.
        repo_type: of a hub name, ``model`` or ``dataset``.
        revision: of a hub name that has none of its own.
    """
    path = Path(name).expanduser()
    if not path.exists():
        bare, revision = hub.pinned(name, revision)
        commit = None if is_path(bare) else hub.commit(bare.partition(":")[0], repo_type, revision)
        return f"{HUB}{bare}" + (f"@{commit}" if commit else "")
    digest = hashlib.sha256()
    for file in sorted(files_in(path)):
        where = file.relative_to(path) if file != path else Path(file.suffix)
        digest.update(f"{where.as_posix()}\0{hash_of(file)}\n".encode())
    return digest.hexdigest()


def files_in(path: Path) -> list[Path]:
    """Return a file itself, or a folder's files that count: all below a `datasets` directory, else those in it."""
    if path.is_file():
        return [path]
    nested = (path / "dataset_dict.json").exists()
    found = path.rglob("*") if nested else path.iterdir()
    return [file for file in found if file.is_file() and file.suffix not in SHIPPED_BESIDE]


def hash_of(file: Path) -> str:
    """Return a file's SHA-256, computed once while the file stays as it is."""
    state = file.stat()
    return _hash(str(file.resolve()), state.st_size, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=4096)
def _hash(file: str, size: int, changed: int, inode: int) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# Options with which a run ends the same.
CHANGES_NOTHING = (
    "output", "cache", "save_minutes", "save_steps", "keep_stages", "report_to", "gradient_checkpointing",
)  # fmt: skip
PATHS = tuple(each.name for each in fields(DistillConfig) if each.metadata.get("reads"))


@dataclass(frozen=True)
class Identity:
    """What makes a run this run.

    Attributes:
        options: all that change its outcome, as the user gave them and the preset completed them.
        contents: what the options that name files hold, by option, see `content`.
    """

    options: dict[str, Any]
    contents: dict[str, str]

    @classmethod
    def of(cls, config: Any) -> "Identity":
        """Return the identity of the run that a configuration describes."""
        options = {name: value for name, value in as_dict(config).items() if name not in CHANGES_NOTHING}
        revisions = {name: ("dataset", None) if name in ROW_OPTIONS else ("model", options.get("revision"))
                     for name in options} | {"data": ("dataset", options.get("data_revision"))}  # fmt: skip
        named = {name: value for name, value in options.items() if names_files(name, value)}
        return cls(options, {name: content(value, *revisions[name]) for name, value in named.items()})

    def difference(self, there: "Identity") -> str | None:
        """Return, in words, what another run differs in from this one; ``None`` for the same run.

        Where both know what a path holds, that counts and not its name.
        """
        names = dict.fromkeys([*there.options, *self.options])
        for name in sorted(names, key=lambda name: name == "teacher"):  # last: a grid's follows from the other options
            mine, theirs = self.options.get(name), there.options.get(name)
            if name in self.contents and name in there.contents:
                ours, others = self.contents[name], there.contents[name]
                if ours == others or (ours.startswith(HUB) and unpinned(ours, others)):
                    continue
                if mine == theirs and ours.startswith(HUB) and others.startswith(HUB):
                    return (
                        f"{name}: {others.removeprefix(HUB)} there, {ours.removeprefix(HUB)} here: pin it with @COMMIT"
                    )
                if mine == theirs:
                    return f"{name}: {mine} {'has changed since' if Path(str(mine)).exists() else 'is not there'}"
            elif mine == theirs and not there.contents:  # made before contents were noted
                continue
            if mine != theirs:
                return f"{name}: {theirs!r} there, {mine!r} here"
        return None


def unpinned(content: str, other: str) -> bool:
    """Return whether two contents are of one name on the hub, and of one of them nobody knew the commit."""
    (name, at, _), (others_name, others_at, _) = content.partition("@"), other.partition("@")
    return name == others_name and not (at and others_at)


def names_files(option: str, value: Any) -> bool:
    """Return whether an option's value is the name of a file, a folder or something on the hub."""
    if option not in PATHS or not isinstance(value, str):
        return False
    return not (option == "student" and chooses_layers(value)) and value != "held-out"


def check_output(output: str | None, options: Mapping[str, Any], marker: str, what: str) -> Path:
    """Return an output folder, if it is new, empty, or holds a ``what`` with these options; touch nothing.

    Args:
        output: what the user said.
        options: a folder holds them in ``marker``.
        marker, what: as in `check_folder`.

    Raises:
        CrildError: it holds something else.
    """
    path = check_folder(output, marker, what)
    if (path / marker).exists():
        earlier = Identity(read_options(path / marker, options), {})
        refuse(output, Identity(dict(options), {}).difference(earlier), what)
    return path


def read_options(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an earlier run; those that it did not know have the default that stands for what it did.

    Raises:
        CrildError: the file cannot be read.
    """
    try:
        earlier = read_yaml(str(path))
    except CrildError as error:
        raise CrildError(f"{path.parent}: its options cannot be read ({error}); choose another folder") from None
    return {name: value for name, value in with_defaults(earlier, known).items() if name not in CHANGES_NOTHING}


def refuse(output: str | Path | None, difference: str | None, what: str) -> None:
    """Raise `CrildError` where there is a difference."""
    if difference:
        raise CrildError(
            f"--output {output}: the folder holds another {what.split()[-1]} ({difference}); choose another folder, or "
            "the same options to go on with it"
        )


def fingerprint(model: "nn.Module", ids: "Iterable[np.ndarray]", *facts: Any) -> str:
    """Return a hash of a model's weights, rows of 64-bit token ids (so of tokenizer and length), and other facts."""
    digest = hashlib.sha256(repr(facts).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for row in ids:
        digest.update(row.tobytes() + b"|")
    return digest.hexdigest()
