"""What the name of a data source can mean, found out without reading it or loading `datasets`."""

import re
from pathlib import Path

from crild.data import tweets
from crild.errors import CrildError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".txt")
ON_THE_HUB = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?|[\w-]+:[\w.-]+")


def refuse_absent(name: str) -> None:
    """Refuse a name that is neither here, nor of the demo's tweets, nor can be one on the hub.

    Raises:
        CrildError: it is none of these.
    """
    path = Path(name).expanduser()
    if path.exists() or tweets.is_tweets(name):
        return
    if path.suffix.lower() in SUFFIXES or not ON_THE_HUB.fullmatch(name):
        raise CrildError(f"no such file or folder: {name}")
