"""The demo's tweets and encoder as sources of a name."""

import hashlib
import json
from collections import Counter

import pytest

from crild.config import DataConfig, FinetuneConfig
from crild.data.sources import read_source
from crild.data.task import load_task, load_texts
from crild.data.tweets import encoder, model_folder, read_tweets, split_tweets
from crild.errors import CrildError
from crild.models.loading import load_config, load_tokenizer


@pytest.fixture(scope="module")
def tweets():
    return read_tweets()


@pytest.fixture(scope="module")
def splits(tweets):
    return split_tweets(tweets, 1200)


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


def test_splits_are_the_same_every_time(tweets, splits):
    assert split_tweets(tweets, 1200) == splits


def test_the_rows_of_the_demo_and_their_order_are_those_of_its_published_numbers():
    splits = {name: rows.to_list() for name, rows in read_source("demo:1200").splits.items()}
    digest = hashlib.sha256(json.dumps(splits).encode()).hexdigest()
    assert digest == "cc37f180434504b93077dd5f7d6863972e9543a2021ab53624c15840ae854b9a"


def test_the_name_says_how_many_tweets_to_score_on_and_which():
    assert {name: len(rows) for name, rows in read_source("demo").splits.items()} == {
        "train": 1100, "validation": 200, "unlabelled": 2500,
    }  # fmt: skip
    scored = [set(read_source(name).splits["validation"]["text"]) for name in ("demo:30", "demo:30:tuning")]
    assert [len(texts) for texts in scored] == [30, 30]
    assert not scored[0] & scored[1]
    with pytest.raises(CrildError, match="demo:99999: there are not so many tweets"):
        read_source("demo:99999")


def test_tweets_are_a_task_and_further_texts():
    task = load_task(FinetuneConfig(data="demo:30"))
    assert task.names == ["negative", "neutral", "positive"]
    assert [len(rows) for rows in (task.train, task.selection, task.validation["validation"])] == [990, 110, 30]
    texts, notes = load_texts(DataConfig(), "demo:30")
    assert (len(texts), set(texts["labels"]), notes) == (2500, {None}, [])
    assert not set(texts["text"]) & set(task.train["text"])


def test_demo_is_the_encoder_where_a_model_is_wanted(tmp_path, monkeypatch):
    assert load_config("demo", "base").num_hidden_layers == 6
    assert load_tokenizer("demo", "base").pad_token_id is not None
    assert model_folder("demo") == str(encoder())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()  # what a user has goes first
    (tmp_path / "demo" / "train.txt").write_text("one\ntwo\n")
    assert model_folder("demo") == "demo"
    assert list(read_source("demo").splits) == ["train"]
