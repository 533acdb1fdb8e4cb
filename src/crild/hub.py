"""What a name can mean on the Hugging Face hub, found out in seconds: loaders retry for most of a minute."""

from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from crild.paths import is_path

NAMES = {"dataset": "data set", "model": "model"}
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
def ask(name: str, repo_type: str, revision: str | None) -> None:
    """Ask the hub for a repository, once: one short request without retries."""
    HfApi().repo_info(name, repo_type=repo_type, revision=revision, timeout=SECONDS)


def cached(name: str, repo_type: str) -> bool:
    """Whether the hub's cache on this machine knows a repository."""
    return (Path(constants.HF_HUB_CACHE) / f"{repo_type}s--{name.replace('/', '--')}").is_dir()


def model_card(name: str, revision: str | None = None) -> Path | None:
    """Return the file of a hub model's card; ``None`` where there is none, or the hub does not answer."""
    try:
        return Path(hf_hub_download(name, "README.md", revision=revision, etag_timeout=SECONDS))
    except Exception:  # whatever it is, a card is no reason to lose a finished run
        return None
