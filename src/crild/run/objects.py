"""Models and data in memory -> files inside the folder of what they are for, so that they are read as files are.

A file is named by what it holds: the same objects give the same run, which goes on where it was; others are refused.
"""

import copy
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import pandas as pd
import pyarrow
from datasets import Dataset, DatasetDict
from pyarrow.parquet import write_table
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.config import MODEL_OPTIONS, ROW_OPTIONS, configure, is_object
from crild.data.sources import SPLITS
from crild.errors import CrildError, first_line
from crild.files import INPUTS, room_in
from crild.run.identity import content

DIGITS = 16  # of a hash, in the name of a file
Fill = Callable[[Path], None]
T = TypeVar("T")


def option_of(name: str) -> str:
    """Return the option that an object is for, from its name in a grid; a task may be its data alone."""
    last = name.rpartition(".")[2]
    return last if last in (*MODEL_OPTIONS, *ROW_OPTIONS) else "data"


def exchanged(values: Any, take: Callable[[str, Any], str], name: str = "") -> Any:
    """Return nested values with what ``take`` makes of each object, whose name is ``section.key.option``."""
    if isinstance(values, PreTrainedModel | Dataset | DatasetDict | pd.DataFrame):
        return take(name, values)
    prefix = f"{name}." if name else ""
    if isinstance(values, Mapping):
        return {key: exchanged(value, take, f"{prefix}{key}") for key, value in values.items()}
    if isinstance(values, list):
        return [exchanged(value, take, f"{prefix}{place}") for place, value in enumerate(values)]
    return values


def described(option: str, value: Any) -> str:
    """Return one line on an object.

    Raises:
        CrildError: it is none that the option takes.
    """
    kind = type(value).__name__
    if option in MODEL_OPTIONS:
        if isinstance(value, PreTrainedModel):
            return f"{kind}, {value.num_parameters()} parameters"
        takes = "a path or a transformers model" + (", or layers such as 3" if option == "student" else "")
        raise CrildError(f"{option}: a {kind} is no model: give {takes}")
    if isinstance(value, DatasetDict):
        return f"DatasetDict, {', '.join(f'{name} {len(rows)}' for name, rows in value.items())} rows"
    if isinstance(value, Dataset | pd.DataFrame):
        return f"{kind}, {len(value)} rows"
    raise CrildError(f"{option}: a {kind} is no data: give a path, a Dataset, a DatasetDict or a DataFrame")


@contextmanager
def configured(
    cls: type[T],
    config: T | None,
    options: Mapping[str, Any],
    tokenizer: Any,
    folder_of: Callable[[T], Path],
    marker: str | None = None,
) -> Iterator[tuple[T, dict[str, str]]]:
    """Give the configuration that a function of the public API was given, with its objects on disk.

    Args:
        cls, config, options: as in `crild.config.configure`; of the options some may be objects.
        tokenizer, marker: as in `on_disk`.
        folder_of: where they are written, once the other options are found to be sound.

    Yields:
        The configuration, and what each object was, by option.

    Raises:
        CrildError: an option or an object is wrong.
    """
    objects = {name: value for name, value in options.items() if is_object(name, value)}
    sound = configure(cls, config, {**options, **{name: described(name, each) for name, each in objects.items()}})
    if not objects and tokenizer is None:
        yield sound, {}
        return
    with on_disk(objects, tokenizer, folder_of(sound), marker) as (paths, about):
        yield replace(sound, **paths), about  # type: ignore[type-var]


@contextmanager
def on_disk(
    objects: Mapping[str, Any], tokenizer: Any, folder: Path, marker: str | None
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Write objects into a folder; in the end take those away again that nothing in it has come to need.

    Args:
        objects: by option, or by name in a grid, see `option_of`.
        tokenizer: of the models among them.
        folder: they are written into its ``inputs/``, unless they are there.
        marker: the file in the folder that names what it needs; without one nothing stays.

    Yields:
        Paths by name, and what `described` says of each object, with its hash.

    Raises:
        CrildError: an object is of the wrong kind, or cannot be written. A message that names a file of an object, also
            one that is raised inside, says what the object was.
    """
    fills = {name: fill_of(name, value, tokenizer) for name, value in objects.items()}
    if tokenizer is not None and not any(isinstance(each, PreTrainedModel) for each in objects.values()):
        raise CrildError("tokenizer: it goes with a model that is given as an object; a model's folder has its own")
    inputs = folder / INPUTS
    new_folders = [each for each in (inputs, *inputs.parents) if not each.exists()]
    written: list[Path] = []
    paths: dict[str, str] = {}
    about: dict[str, str] = {}
    try:
        for name, (kind, suffix, fill) in fills.items():
            path, is_new = write_once(inputs, kind, suffix, fill)
            written += [path] if is_new else []
            paths[name] = str(path)
            about[name] = f"{described(option_of(name), objects[name])}, {path.stem.rpartition('-')[2]}"
        yield paths, about
    except CrildError as error:
        text = str(error)
        for name, path_there in paths.items():
            text = text.replace(path_there, f"{name} ({about[name].rpartition(',')[0]})")
        raise CrildError(text) from None
    finally:
        needs = (folder / marker).read_text(encoding="utf-8") if marker and (folder / marker).exists() else ""
        for path in written:
            if path.name not in needs:
                remove(path)
        for each in new_folders:
            if each.is_dir() and not any(each.iterdir()):
                each.rmdir()


def fill_of(name: str, value: Any, tokenizer: Any) -> tuple[str, str, Fill]:
    """Return what an object's file is called, its ending, and what writes it.

    One name for all models, and for all rows: what is given twice is one file, as one path would be.
    """
    described(option_of(name), value)
    if option_of(name) in MODEL_OPTIONS:
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            given = "" if tokenizer is None else f", and a {type(tokenizer).__name__} is none"
            raise CrildError(f"{name}: a model in memory needs its tokenizer: add tokenizer=...{given}")
        return "model", "", lambda path: save_model(value, tokenizer, path)
    if not isinstance(value, DatasetDict):
        rows = table_of(name, value)
        return "data", ".parquet", lambda path: write_table(rows, path)
    if unknown := [split for split in value if split not in SPLITS]:
        raise CrildError(f"{name}: a DatasetDict with the split {unknown[0]!r}: crild knows {', '.join(SPLITS)}")
    tables = {split: table_of(f"{name} ({split})", rows) for split, rows in value.items()}

    def fill(path: Path) -> None:
        path.mkdir()
        for split, rows in tables.items():
            write_table(rows, path / f"{split}.parquet")

    return "data", "", fill


def table_of(name: str, rows: Dataset | pd.DataFrame) -> pyarrow.Table:
    """Return rows as a table that depends on what they hold alone: no index, no history, no format.

    Raises:
        CrildError: they make none.
    """
    try:
        if isinstance(rows, Dataset):
            table = rows.with_format("arrow")[:]
            return table.combine_chunks().replace_schema_metadata(rows.features.arrow_schema.metadata)  # class names
        table = pyarrow.Table.from_pandas(rows, preserve_index=False, nthreads=1)
        return table.combine_chunks().replace_schema_metadata(None)
    except Exception as error:
        raise CrildError(f"{name}: a {type(rows).__name__} that makes no table ({first_line(error)})") from None


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Save a model and its tokenizer; both stay as they are."""
    shadow = copy.copy(model)  # saving writes into the configuration
    shadow.config = copy.deepcopy(model.config)
    shadow.save_pretrained(path)
    tokenizer = copy.deepcopy(tokenizer)
    if tokenizer.is_fast:  # what an earlier call padded and cut to is no part of it
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()
    tokenizer.save_pretrained(path)


def write_once(folder: Path, kind: str, suffix: str, fill: Fill) -> tuple[Path, bool]:
    """Return the path of what ``fill`` writes, named by a hash of it, and whether it is new."""
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(dir=folder, suffix=".part"))
    try:
        filled = part / f"{kind}{suffix}"
        with room_in(folder):
            fill(filled)
        path = folder / f"{kind}-{content(str(filled))[:DIGITS]}{suffix}"
        if path.exists():
            return path, False
        os.replace(filled, path)
        return path, True
    finally:
        remove(part)


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
