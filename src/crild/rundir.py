"""The run directory: who it belongs to, files that appear whole or not at all, and what was done before."""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from crild.config import with_defaults
from crild.errors import CrildError

CONFIG, FACTS, RESULT = "config.yaml", "run.json", "result.json"
PACKAGES = ("crild", "torch", "transformers", "datasets", "accelerate", "numpy", "scikit-learn")


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it, so that it is never seen half-written."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder under another name and rename it, replacing what was there."""
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    shutil.rmtree(path, ignore_errors=True)
    os.replace(part, path)


def save_weights(path: Path, model: nn.Module) -> None:
    """Save a module's tensors, whole or not at all."""
    part = path.with_name(path.name + ".part")
    state = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    save_file(state, part, metadata={"format": "pt"})
    os.replace(part, path)


def load_weights(path: Path, model: nn.Module) -> None:
    """Load a module's tensors."""
    model.load_state_dict(load_file(path))


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
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(path if path.exists() else above, os.W_OK):
        raise CrildError(f"--output {output}: {above} is no folder that can be written to; choose another one")
    if path.exists() and not (path / marker).exists() and not all(p.name.endswith(".part") for p in path.iterdir()):
        raise CrildError(f"--output {output}: the folder is not empty and holds no {what}; choose another one")
    return path


def check_output(output: str | None, config: Mapping[str, Any], marker: str = CONFIG, what: str = "crild run") -> Path:
    """Return an output folder, if it is new, empty, or holds this very run (or search); touch nothing.

    Args:
        output: what the user said.
        config: the options that make it this one; a folder holds them in ``marker``.
        marker, what: as in `check_folder`.

    Raises:
        CrildError: it holds something else.
    """
    path = check_folder(output, marker, what)
    if not (path / marker).exists():
        return path
    try:
        earlier = yaml.safe_load((path / marker).read_text(encoding="utf-8"))
    except yaml.YAMLError:
        earlier = None
    if not isinstance(earlier, dict):
        raise CrildError(f"--output {output}: its {marker} cannot be read; choose another folder")
    earlier = with_defaults(earlier, config)
    differing = sorted(k for k in {*earlier, *config} if earlier.get(k) != config.get(k))
    if differing:
        name = differing[0]
        raise CrildError(
            f"--output {output}: the folder holds another {what.split()[-1]} ({name}: {earlier.get(name)!r} there, "
            f"{config.get(name)!r} here); choose another folder, or the same options to go on with it"
        )
    return path


def start_run(path: Path, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Create the run directory with its resolved configuration, and note seeds and versions."""
    path.mkdir(parents=True, exist_ok=True)
    if not (path / CONFIG).exists():  # written first: it is what tells whose folder this is
        write_whole(path / CONFIG, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
    if not (path / FACTS).exists():
        started = datetime.now(UTC).isoformat(timespec="seconds")
        write_whole(path / FACTS, json.dumps({"started": started, **facts, **environment()}, indent=2) + "\n")


def environment() -> dict[str, Any]:
    """Return versions and machine."""
    return {
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def fingerprint(model: nn.Module, ids: list[list[int]], *facts: Any) -> str:
    """Return a hash of a model's weights, token ids (so of tokenizer and length), and other facts."""
    digest = hashlib.sha256(repr(facts).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for row in ids:
        digest.update(np.asarray(row, np.int64).tobytes() + b"|")
    return digest.hexdigest()


def cached_array(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array in a safetensors file, computed and written once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")  # runs may share the cache
        save_file({"array": torch.from_numpy(compute())}, part)
        os.replace(part, path)
    array: Tensor = load_file(path)["array"]
    return array.numpy()
