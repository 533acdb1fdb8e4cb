"""A disk that fills up in the middle of a run: one line, nothing lost, and the run goes on when there is room."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from crild.checkpoints import checkpoints, flaw
from crild.errors import CrildError
from crild.files import cached_array, is_full, save_weights, write_folder
from tests.conftest import complaint

KILOBYTE = 1024


def mount(folder: Path, kilobytes: int, more: str = "") -> bool:
    """Mount a small disk of memory there, or give it another size; return whether that is permitted here."""
    command = [shutil.which("mount") or "false", "-t", "tmpfs", "-o", f"size={kilobytes}k{more}", "none", folder]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A folder on a disk, and what changes the disk's size in kilobytes; where none can be mounted, writing fails."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if mount(folder, 64):
        yield folder, lambda kilobytes: mount(folder, kilobytes, ",remount")
        subprocess.run(["umount", folder], check=True)
    else:
        yield folder, pretended(monkeypatch)


def pretended(monkeypatch) -> Callable[[int], None]:
    """Let what torch and safetensors write fail once it comes to more bytes than there are."""
    left = [0]

    def resize(kilobytes):
        left[0] = kilobytes * KILOBYTE

    def spends(write, tensors_of, error):
        def writing(content, path, **options):
            left[0] -= sum(x.nbytes for x in tensors_of(content))
            if left[0] < 0:
                raise error("No space left on device (os error 28)")
            write(content, path, **options)

        return writing

    def moments(content):
        states = content.get("state", {}).values() if isinstance(content, dict) else ()
        return [x for each in states for x in each.values()]

    import safetensors.torch

    write = spends(safetensors.torch.save_file, lambda content: content.values(), SafetensorError)
    monkeypatch.setattr(safetensors.torch, "save_file", write)
    monkeypatch.setattr(torch, "save", spends(torch.save, moments, RuntimeError))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=max(0, left[0])))
    resize(64)
    return resize


def test_what_is_written_to_a_full_disk_leaves_nothing_and_says_what_it_needs(disk):
    folder, resize = disk
    model = torch.nn.Linear(300, 300)
    for write, needed in (
        (lambda: save_weights(folder / "model.safetensors", model), "0.4 MB are needed"),
        (lambda: cached_array(folder / "cache/a.safetensors", lambda: np.zeros((1000, 100))), "0.8 MB are needed"),
    ):
        with pytest.raises(CrildError, match=r"disk(/cache)?: the disk is full \(0\.\d MB are free, ") as caught:
            write()
        assert needed in str(caught.value)
        assert not [path for path in folder.rglob("*") if path.is_file()]
        resize(2000)
        write()
        for path in folder.rglob("*.safetensors"):
            path.unlink()
        resize(64)


def test_a_folder_that_does_not_fit_leaves_nothing(tmp_path):
    def fill(path):
        (path / "model").write_bytes(bytes(100))
        with open("/dev/full", "w") as full:
            full.write("x")

    with pytest.raises(OSError, match="No space") as caught:
        write_folder(tmp_path / "student", fill)
    assert is_full(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, os.strerror(28)), True),
        (OSError(122, os.strerror(122)), True),
        (OSError(13, os.strerror(13)), False),
        (SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), True),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (CrildError("model: No space left on device"), False),  # told already
    ],
)
def test_libraries_have_their_own_words_for_it(error, full):
    assert is_full(error) == full


def test_a_disk_that_is_full_at_a_checkpoint(disk, tiny_teacher, film_data, cli):
    folder, resize = disk
    output = folder / "run"
    options = (
        "--teacher", tiny_teacher, "--data", film_data, "--student", "2", "--method", "kd", "--max-steps", "12",
        "--save-steps", "2", "--no-control", "--precision", "fp32", "--output", output,
    )  # fmt: skip
    resize(900)  # room for two checkpoints, and not for the third, which is there before the first one goes
    code, _, err = cli("distill", *options)
    assert code == 2
    line = complaint(err)
    assert "stages/kd: the disk is full (0." in line
    assert "MB are needed): make room, then the same command goes on from where it was" in line
    kept = checkpoints(output / "stages/kd")
    assert kept
    assert [flaw(each) for each in kept] == [None] * len(kept)
    assert not list(output.rglob("incomplete"))
    code, _, err = cli("distill", *options)  # as full as before
    assert code == 2
    assert "the disk is full" in complaint(err)
    resize(20_000)
    code, _, err = cli("distill", *options)
    assert code == 0, err
    assert "resuming from step " in err
    assert (output / "student/model.safetensors").exists()
    assert not list(output.rglob("*.part"))
