"""The one exception that a user of crild is meant to read."""

import difflib
from collections.abc import Iterable


class CrildError(ValueError):
    """A foreseeable mistake in what the user gave: one line that names the thing, what is wrong and what to do.

    The command line prints it without a traceback and leaves with exit code 2.
    """


class InUse(CrildError):
    """A folder that another process works in, for now."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known word nearest to ``word``, or an empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def to_install(extra: str) -> str:
    """Return how an extra is installed: no package index holds crild."""
    return f"pip install '.[{extra}]' in crild's source folder"


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, and the second where the first one announces it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
