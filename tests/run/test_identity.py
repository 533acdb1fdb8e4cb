"""Which runs are the same: options by value, files by content."""

import shutil

import pytest

from crild.config import DistillConfig
from crild.errors import CrildError
from crild.run.folder import RunFolder
from crild.run.identity import Identity, content
from crild.run.plan import Plan
from tests.conftest import reviews, write_jsonl


def test_content_is_of_names_and_bytes_and_not_of_places(tmp_path):
    first = write_jsonl(tmp_path / "a/train.jsonl", reviews(20)).parent
    second = tmp_path / "b"
    shutil.copytree(first, second)
    assert content(str(first)) == content(str(second))
    (second / "README.md").write_text("notes")  # changes nothing that is computed
    assert content(str(first)) == content(str(second))
    before = content(str(second))
    write_jsonl(second / "train.jsonl", reviews(20, seed=1))
    assert content(str(second)) != before
    (first / "train.jsonl").rename(first / "validation.jsonl")
    assert content(str(first)) != before
    assert content("owner/name") == "hub:owner/name"


def test_a_run_is_the_same_where_only_places_and_rhythms_differ(tmp_path):
    here = write_jsonl(tmp_path / "a/d.jsonl", reviews(20))
    there = write_jsonl(tmp_path / "b/e.jsonl", reviews(20))
    one = Identity.of(DistillConfig(data=str(here), output="x", save_steps=5, keep_stages=True, cache="c"))
    other = Identity.of(DistillConfig(data=str(there), output="y"))
    assert one.difference(other) is None
    assert other.difference(one) is None
    assert "seed: 1 there, 42 here" in one.difference(Identity.of(DistillConfig(data=str(here), seed=1)))


def test_a_file_that_changed_makes_another_run(tmp_path):
    path = write_jsonl(tmp_path / "d.jsonl", reviews(20))
    before = Identity.of(DistillConfig(data=str(path)))
    write_jsonl(path, reviews(20, seed=3))
    assert Identity.of(DistillConfig(data=str(path))).difference(before) == f"data: {path} has changed since"
    path.unlink()
    assert Identity.of(DistillConfig(data=str(path))).difference(before) == f"data: {path} is not there"


def grow(file):
    file.write_bytes(file.read_bytes() + b" ")


CHANGES = {
    "data: {}/films has changed since": lambda at: grow(at / "films/train.jsonl"),
    "data: {}/films has changed since ": lambda at: write_jsonl(at / "films/test.jsonl", reviews(9)),
    "data: {}/films has changed since  ": lambda at: (at / "films/validation.jsonl").unlink(),
    "teacher: {}/teacher has changed since": lambda at: grow(at / "teacher/model.safetensors"),
    "teacher: {}/teacher is not there": lambda at: shutil.rmtree(at / "teacher"),
    "base: {}/base has changed since": lambda at: grow(at / "base/config.json"),
    "supplementary: {}/more.txt has changed since": lambda at: grow(at / "more.txt"),
    "validation: {}/held.jsonl has changed since": lambda at: write_jsonl(at / "held.jsonl", reviews(9, seed=2)),
    "plugin: {}/own.py has changed since": lambda at: (at / "own.py").write_text("A = 2"),
    "seed: 42 there, 7 here": lambda at: {"seed": 7},
}


@pytest.mark.parametrize("said", CHANGES)
def test_a_run_that_was_begun_is_not_taken_for_one_on_other_files(said, tmp_path):
    for name in ("teacher", "base"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(bytes(50))
    write_jsonl(tmp_path / "films/train.jsonl", reviews(20))
    write_jsonl(tmp_path / "films/validation.jsonl", reviews(9, seed=1))
    write_jsonl(tmp_path / "held.jsonl", reviews(9, seed=1))
    (tmp_path / "more.txt").write_text("a film")
    (tmp_path / "own.py").write_text("A = 1")
    names = {"data": "films", "validation": "held.jsonl", "supplementary": "more.txt", "plugin": "own.py"}
    paths = {name: str(tmp_path / file) for name, file in (names | {"teacher": "teacher", "base": "base"}).items()}
    run = RunFolder(tmp_path / "run")
    identity = Identity.of(DistillConfig(**paths))
    run.path.mkdir()
    run.start(identity, Plan(None, None, None, ()), {})
    run.refuse_another(identity)
    other = CHANGES[said](tmp_path)
    with pytest.raises(CrildError) as caught:
        run.refuse_another(Identity.of(DistillConfig(**paths, **(other if isinstance(other, dict) else {}))))
    assert f"the folder holds another run ({said.strip().format(tmp_path)})" in str(caught.value)
