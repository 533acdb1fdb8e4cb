"""Names that are no paths: asked for on the hub once, and briefly."""

import shutil
import time
from types import SimpleNamespace

import pytest
from datasets import Dataset
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from crild import hub
from crild.config import DistillConfig
from crild.data.sources import read_source
from crild.errors import CrildError
from crild.models.loading import load_config, load_model, load_tokenizer
from crild.run.identity import Identity


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """An online machine without network; the requests made."""
    requests = []

    def refuse(self, name, **options):
        requests.append((name, options))
        raise ConnectionError("Name or service not known\nand more")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(HfApi, "repo_info", refuse)
    monkeypatch.setattr("crild.data.sources.load_dataset", lambda *_, **__: pytest.fail("the loader would retry"))
    hub.ask.cache_clear()
    yield requests
    hub.ask.cache_clear()


def load_model_config(name):
    return load_config(name, "teacher")


@pytest.mark.parametrize("load", [read_source, load_model_config])
def test_paths_that_do_not_exist_never_reach_the_hub(load, asked, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("data/foo", "./foo", "../foo", "./x/y", "a/b/c"):
        with pytest.raises(CrildError, match="no such f") as error:
            load(name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    assert not asked


@pytest.mark.parametrize("load", [read_source, load_model_config])
def test_the_hub_is_asked_once_and_briefly(load, asked):
    start = time.perf_counter()
    with pytest.raises(CrildError, match="the hub does not answer") as error:
        load("owner/name")
    assert time.perf_counter() - start < 5
    assert "owner/name" in str(error.value)
    assert "\n" not in str(error.value)
    ((name, options),) = asked
    assert name == "owner/name"
    assert options["timeout"] <= 5


def test_what_the_hub_says_is_passed_on(asked, monkeypatch):
    def raising(kind):
        error = kind.__new__(kind)
        monkeypatch.setattr(HfApi, "repo_info", lambda *_, **__: (_ for _ in ()).throw(error))

    raising(RepositoryNotFoundError)
    assert hub.absent("owner/name", "dataset") == "no such file or folder, and the hub has no data set of that name"
    raising(RevisionNotFoundError)
    assert hub.absent("owner/name", "model", "v9") == "the hub's model of that name has no revision 'v9'"
    monkeypatch.setattr(HfApi, "repo_info", lambda *_, **__: SimpleNamespace(sha=COMMITS[0]))
    assert hub.absent("owner/name", "model") is None
    assert hub.commit("owner/name", "model") == COMMITS[0]


def test_what_the_cache_may_hold_is_left_to_the_loader(asked, monkeypatch, tmp_path):
    (tmp_path / "cache" / "datasets--owner--name").mkdir(parents=True)
    assert hub.absent("owner/name", "dataset") is None
    assert hub.absent("owner/name", "model") is not None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    requests = len(asked)
    assert hub.absent("owner/other", "model") is None
    assert len(asked) == requests


def test_a_card_that_cannot_be_had_costs_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert hub.model_card("owner/name") is None


COMMITS = ("a" * 40, "b" * 40)


@pytest.fixture
def hub_cache(monkeypatch, tmp_path, tiny_teacher):
    """A machine without network whose cache has two commits of a model; ``main`` is the first, ``v2`` the second."""
    folder = tmp_path / "cache" / "models--owner--name"
    for commit, revision in zip(COMMITS, ("main", "v2"), strict=True):
        shutil.copytree(tiny_teacher, folder / "snapshots" / commit)
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / revision).write_text(commit)
    weights = folder / "snapshots" / COMMITS[1] / "model.safetensors"
    state = load_file(weights)
    state["classifier.bias"].fill_(7)
    save_file(state, weights, {"format": "pt"})
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def test_a_model_is_loaded_from_the_commit_that_is_pinned_and_recorded(hub_cache, tiny_teacher, film_data):
    def bias(name, revision=None):
        return load_model(name, "teacher", revision=revision).model.classifier.bias[0].item()

    assert bias("owner/name@v2") == bias("owner/name", "v2") == bias(f"owner/name@{COMMITS[1]}", "main") == 7
    assert bias("owner/name") == bias(str(tiny_teacher)) != 7
    given = {"data": str(film_data), "output": "o"}
    first = Identity.of(DistillConfig(teacher="owner/name", **given))
    assert first.contents["teacher"] == f"hub:owner/name@{COMMITS[0]}"
    assert Identity.of(DistillConfig(teacher="owner/name", revision="v2", **given)).contents["teacher"].endswith("b")
    (hub_cache / "refs/main").write_text(COMMITS[1])  # the hub has something new
    now = Identity.of(DistillConfig(teacher="owner/name", **given))
    assert now.difference(first) == (
        f"teacher: owner/name@{COMMITS[0]} there, owner/name@{COMMITS[1]} here: pin it with @COMMIT"
    )
    (hub_cache / "refs/main").unlink()  # nobody knows
    assert Identity.of(DistillConfig(teacher="owner/name", **given)).difference(first) is None


def test_every_file_of_a_model_and_of_data_comes_from_one_commit(hub_cache, monkeypatch):
    asked = []
    loaded = AutoConfig.from_pretrained
    monkeypatch.setattr(
        "crild.models.loading.AutoConfig.from_pretrained",
        lambda name, **options: asked.append(options["revision"]) or loaded(name, **options),
    )
    load_tokenizer("owner/name@v2", "teacher")
    assert set(asked) == {COMMITS[1]}
    asked.clear()
    (hub_cache.parent / "datasets--owner--rows" / "refs").mkdir(parents=True)
    (hub_cache.parent / "datasets--owner--rows/refs/main").write_text(COMMITS[0])
    monkeypatch.setattr(
        "crild.data.sources.load_dataset",
        lambda *names, revision: asked.append((*names, revision)) or Dataset.from_dict({"text": ["a"]}),
    )
    read_source("owner/rows:small")
    read_source("owner/rows:small@v3")
    assert asked == [("owner/rows", "small", COMMITS[0]), ("owner/rows", "small", "v3")]


def test_code_on_the_hub_runs_at_a_commit_alone(hub_cache):
    for name, revision in (("owner/name", None), ("owner/name", "main"), ("owner/name@v2", COMMITS[0])):
        with pytest.raises(CrildError, match=r"add --revision with the commit"):
            load_config(name, "teacher", True, revision)
    assert load_config("owner/name@" + COMMITS[0], "teacher", True).model_type == "bert"
