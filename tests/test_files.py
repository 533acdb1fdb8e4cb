"""Files that appear whole or not at all."""

import resource
import signal

import numpy as np
import pandas as pd
import pytest
from torch import nn

from crild.errors import CrildError
from crild.files import cached_array, load_array, save_weights, write_folder, write_frame, write_whole
from tests.conftest import complaint

MOST = 1000  # bytes


@pytest.fixture
def full_disk():
    """No file may grow beyond `MOST` bytes, as on a disk without space."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


FRAME = pd.DataFrame({"text": [f"{'x' * 20}{i}" for i in range(3 * MOST)]})
WRITERS = {
    "text": lambda path: write_whole(path, "x" * 3 * MOST),
    "CSV": lambda path: write_frame(path.with_suffix(".csv"), FRAME),
    "JSONL": lambda path: write_frame(path.with_suffix(".jsonl"), FRAME),
    "Parquet": lambda path: write_frame(path.with_suffix(".parquet"), FRAME),
    "weights": lambda path: save_weights(path, nn.Linear(MOST, 2)),
    "array": lambda path: cached_array(path, lambda: np.zeros(MOST)),
    "folder": lambda path: write_folder(path, lambda part: write_whole(part / "a", "x" * 3 * MOST)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_what_was_there_and_nothing_else(name, tmp_path, full_disk):
    write_whole(tmp_path / "before", "precious")
    with pytest.raises((OSError, CrildError), match=r"File too large|the disk is full") as error:
        WRITERS[name](tmp_path / "file")
    assert str(tmp_path) in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["before"]


def test_an_array_is_computed_once(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(cached_array(tmp_path / "a", lambda: array), array)
    assert np.array_equal(cached_array(tmp_path / "a", lambda: pytest.fail("it is there")), array)
    assert np.array_equal(load_array(tmp_path / "a"), array)


def test_answers_that_do_not_fit_on_the_disk_are_one_line(cli, tiny_teacher, film_data, tmp_path, full_disk):
    code, _, err = cli("predict", tiny_teacher, "--data", film_data, "--output", tmp_path / "a.csv")
    assert code == 2, err
    assert complaint(err).endswith("a.csv: file too large; make room, and the same command goes on")
    assert not list(tmp_path.iterdir())
