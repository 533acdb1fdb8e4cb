"""The demo: its data, and (small) the whole of it."""

import json
from collections import Counter

import pytest

from crild.cli import main
from crild.demo import read_tweets, run_demo, settings, show_demo, split_tweets
from crild.errors import CrildError


@pytest.fixture(scope="module")
def splits():
    return split_tweets(read_tweets(), settings()["rows"])


def test_no_tweet_crosses_the_splits(splits):
    keys = [{t.key for t in tweets} for tweets in splits.values()]
    assert sum(map(len, keys)) == len(set().union(*keys))
    assert [len(tweets) for tweets in splits.values()] == [1200, 1200, 1100, 2500]


def test_held_out_tweets_are_agreed_on_and_the_labelled_ones_are_as_the_crowd_left_them(splits):
    for name in ("test", "tuning"):
        assert all(t.confidence == 1.0 for t in splits[name])
    kinds = Counter(
        "whole" if t.confidence == 1.0 else "part" if t.confidence else "unknown" for t in splits["labelled"]
    )
    assert min(kinds["whole"], kinds["part"], kinds["unknown"]) > 100


def test_splits_are_the_same_every_time(splits):
    assert split_tweets(read_tweets(), settings()["rows"]) == splits


@pytest.mark.slow
def test_a_small_demo_from_end_to_end(tmp_path, capsys):
    values = settings()
    values["rows"] |= {"labelled": 80, "unlabelled": 40, "held_out": 100}
    values["train"] |= {"max_steps": 2}
    result = run_demo(str(tmp_path / "demo"), values)
    assert all(0 <= result[name]["score"] <= 1 for name in ("teacher", "control", "kd", "student"))
    assert result["kd"]["parameters"] == result["student"]["parameters"] < result["teacher"]["parameters"]
    show_demo(result)
    out = capsys.readouterr().out
    for name in ("student without teacher", "plain KD", "CR-ILD", "crild evaluate"):
        assert name in out
    assert "label" not in json.loads((tmp_path / "demo/data/unlabelled.jsonl").read_text().splitlines()[0])
    assert run_demo(str(tmp_path / "demo"), values)["student"]["score"] == result["student"]["score"]
    with pytest.raises(CrildError, match="another version"):
        run_demo(str(tmp_path / "demo"))


def test_a_foreign_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("precious")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "holds no demo" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
