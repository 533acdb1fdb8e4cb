"""Paths that a user names."""

import pytest

from crild.errors import CrildError
from crild.paths import ANSWERS, is_path, refuse_absent, refuse_answers


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


def test_answers_go_into_a_new_file_of_a_known_format(tmp_path):
    for ending in ANSWERS:
        refuse_answers("--output", str(tmp_path / f"a{ending}"), overwrite=False)
    for name, message in (("a.xlsx", "says no format: end it in .csv"), ("no/a.csv", "no such folder")):
        with pytest.raises(CrildError, match=message):
            refuse_answers("--output", str(tmp_path / name), overwrite=True)
    (tmp_path / "a.csv").touch()
    refuse_answers("--output", str(tmp_path / "a.csv"), overwrite=True)
    with pytest.raises(CrildError, match=r"choose another name, or --overwrite$"):
        refuse_answers("--output", str(tmp_path / "a.csv"), overwrite=False)
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(CrildError, match=r"exists: choose another name$"):
        refuse_answers("--output", str(tmp_path / "b.csv"), overwrite=True)
