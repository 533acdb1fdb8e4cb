"""Bad input of every kind gives one line and exit code 2, and leaves everything as it was; odd input runs."""

from pathlib import Path

import pytest

from tests.bad_input import CASES, SOUND, Case, Place, command
from tests.conftest import complaint


@pytest.fixture
def place(tmp_path, tiny, tiny_teacher, film_data):
    return Place(tmp_path, tiny, tiny_teacher, tiny_teacher.parent, film_data)


def snapshot(*folders: Path) -> dict[str, tuple[int, int] | None]:
    """What is below folders: names, and of files their sizes and when they were written."""
    found = {path: path.lstat() for folder in folders for path in folder.rglob("*")}
    return {str(path): (each.st_size, each.st_mtime_ns) if path.is_file() else None for path, each in found.items()}


@pytest.mark.parametrize("name", CASES)
def test_one_line_exit_code_2_and_nothing_is_written(name, cli, place):
    case = CASES[name]
    typed = command(case, place)
    folders = (place.path, place.run, place.films, place.tiny)
    before = snapshot(*folders)
    code, out, err = cli(*typed)
    assert code == 2, out + err
    assert case.says in complaint(err)
    assert out == ""
    assert snapshot(*folders) == before


@pytest.mark.parametrize("name", SOUND)
def test_what_is_odd_but_sound_runs(name, cli, place):
    code, out, err = cli(*command(Case(*SOUND[name], ""), place))
    assert code == 0, err
    assert "\x1b" not in out + err
    assert not list(place.path.rglob("harm"))
