"""What `--report-to` takes, and what it refuses before anything is loaded."""

import pytest

from crild.config import trackers
from crild.config.trackers import parse_trackers
from crild.errors import CrildError
from tests.conftest import complaint


def test_names_are_read_each_once():
    assert parse_trackers("tensorboard, tensorboard") == ("tensorboard",)
    assert parse_trackers(None) == parse_trackers("none") == parse_trackers(" ") == ()


def test_an_unknown_or_missing_tracker_is_one_line_and_nothing_is_written(cli, tmp_path, monkeypatch):
    with pytest.raises(CrildError, match=r"no tracker 'tensorbord' \(did you mean 'tensorboard'\?\): use some of tens"):
        parse_trackers("tensorbord")
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    for verb in ("distill", "finetune", "tune", "frontier"):
        code, out, err = cli(
            verb, "--report-to", "wandb", "--base", "b/c", "--data", tmp_path, "--output", tmp_path / "run"
        )
        assert (code, out) == (2, "")
        assert complaint(err) == "crild: error: --report-to wandb: it is not installed: pip install wandb"
    assert not (tmp_path / "run").exists()
