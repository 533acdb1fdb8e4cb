"""What a name can mean on the Hugging Face hub, found out in seconds: loaders retry for most of a minute."""

import re
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from crild.paths import is_path

NAMES = {"dataset": "data set", "model": "model"}
COMMIT = re.compile("[0-9a-f]{40}")
SECONDS = 5.0  # that the hub has to answer


def absent(name: str, repo_type: str, revision: str | None = None) -> str | None:
    """Say why a name that is no path on this machine cannot be loaded from the hub either.

    Args:
        name: ``owner/name`` or a bare name, without configuration.
        repo_type: ``model`` or ``dataset``.
        revision: branch, tag or commit.

    Returns:
        The reason, or ``None`` where a loader should try: the hub has it, or a copy may be in the cache.
    """
    here = "no such file or folder"
    if is_path(name):
        return here
    if constants.is_offline_mode():
        return None  # loaders look into their caches, and are quick
    try:
        ask(name, repo_type, revision)
    except RevisionNotFoundError:
        return f"the hub's {NAMES[repo_type]} of that name has no revision {revision!r}"
    except RepositoryNotFoundError:
        return f"{here}, and the hub has no {NAMES[repo_type]} of that name"
    except Exception as error:
        if cached(name, repo_type):
            return None
        return f"{here}, and the hub does not answer ({str(error).strip().partition(chr(10))[0]})"
    return None


@cache
def ask(name: str, repo_type: str, revision: str | None) -> str | None:
    """Ask the hub for a repository, once: one short request without retries; return the commit that it has there."""
    commit: str | None = HfApi().repo_info(name, repo_type=repo_type, revision=revision, timeout=SECONDS).sha
    return commit


def pinned(name: str, revision: str | None = None) -> tuple[str, str | None]:
    """Return a name on the hub and the revision that it is wanted in: ``owner/name@REVISION`` goes before ``revision``.

    A path stays as it is, and has none.
    """
    if Path(name).expanduser().exists() or is_path(name):
        return name, revision
    bare, _, own = name.partition("@")
    return bare, own or revision


def commit(name: str, repo_type: str, revision: str | None = None) -> str | None:
    """Return the commit that a revision (``None``: ``main``) of a name on the hub is now: what the hub says, else what
    the cache on this machine has; ``None`` where neither knows it."""
    if COMMIT.fullmatch(revision or ""):
        return revision
    if not constants.is_offline_mode():
        try:
            return ask(name, repo_type, revision)
        except Exception:  # it does not answer: what is in the cache is what will be loaded
            pass
    noted = folder_of(name, repo_type) / "refs" / (revision or "main")
    try:
        found = noted.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return found if COMMIT.fullmatch(found) else None


def folder_of(name: str, repo_type: str) -> Path:
    """Return where the hub's cache on this machine has a repository."""
    return Path(constants.HF_HUB_CACHE) / f"{repo_type}s--{name.replace('/', '--')}"


def cached(name: str, repo_type: str) -> bool:
    """Whether the hub's cache on this machine knows a repository."""
    return folder_of(name, repo_type).is_dir()


def model_card(name: str, revision: str | None = None) -> Path | None:
    """Return the file of a hub model's card; ``None`` where there is none, or the hub does not answer."""
    try:
        return Path(hf_hub_download(name, "README.md", revision=revision, etag_timeout=SECONDS))
    except Exception:  # whatever it is, a card is no reason to lose a finished run
        return None
