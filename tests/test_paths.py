"""Paths that a user names."""

import pytest

from crild.errors import CrildError
from crild.paths import is_path, refuse_absent


def test_what_can_be_on_the_hub_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("bert-base-uncased", "owner/bert.v1", "owner/set:config", "demo:1200", "held-out", "half", "0,2,4"):
        assert not is_path(name), name
    for name in ("./bert", "../bert", "~/bert", "/bert", "runs/films/student", "films.csv", "owner/films.JSONL", "."):
        assert is_path(name), name
    assert not is_path("runs/films")
    (tmp_path / "runs").mkdir()
    assert is_path("runs/films")


def test_an_absent_path_is_refused_with_the_nearest_name_beside_it(tmp_path):
    (tmp_path / "films.csv").touch()
    refuse_absent("--data", str(tmp_path / "films.csv"), "file or folder")
    refuse_absent("--teacher", "owner/name", "folder")  # its loader asks the hub
    with pytest.raises(CrildError, match=r"--data: no such file or folder: .*film\.csv \(did you mean 'films.csv'\?\)"):
        refuse_absent("--data", str(tmp_path / "film.csv"), "file or folder")
    with pytest.raises(CrildError, match="GRID: no such file: grid"):
        refuse_absent("GRID", "grid", "file")
