"""Names that are no paths: asked for on the hub once, and briefly."""

import time

import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from crild import hub
from crild.data.sources import read_source
from crild.errors import CrildError
from crild.models.loading import load_config


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
    monkeypatch.setattr(HfApi, "repo_info", lambda *_, **__: None)
    assert hub.absent("owner/name", "model") is None


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
