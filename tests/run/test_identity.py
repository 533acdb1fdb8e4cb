"""Which runs are the same: options by value, files by content."""

import shutil

import pytest

import crild
from crild.config import DistillConfig
from crild.errors import CrildError
from crild.run.identity import Identity, content
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


@pytest.mark.parametrize("changed", ["teacher", "data", "plugin"])
def test_a_finished_run_is_not_taken_for_one_on_other_files(changed, tiny_teacher, film_data, tmp_path):
    teacher, data, plugin = tmp_path / "teacher", tmp_path / "data", tmp_path / "own.py"
    shutil.copytree(tiny_teacher, teacher)
    shutil.copytree(film_data, data)
    plugin.write_text("A = 1\n")
    options = {
        "teacher": str(teacher), "data": str(data), "plugin": str(plugin), "student": 2, "method": "kd", "max_steps": 1,
        "control": False, "output": str(tmp_path / "run"),
    }  # fmt: skip
    crild.distill(**options)
    if changed == "teacher":
        other = crild.finetune(base=str(teacher), data=str(data), output=str(tmp_path / "other"), max_steps=1)
        shutil.copy(other["teacher"]["path"] + "/model.safetensors", teacher / "model.safetensors")
    elif changed == "data":
        write_jsonl(data / "validation.jsonl", reviews(60, seed=9))
    else:
        plugin.write_text("A = 2\n")
    with pytest.raises(CrildError, match=f"{changed}: .* has changed since"):
        crild.distill(**options)
