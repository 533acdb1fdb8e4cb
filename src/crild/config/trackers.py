"""Trackers that ``--report-to`` names, checked before anything is loaded."""

from importlib.util import find_spec

from crild.errors import CrildError, nearest

TENSORBOARD, WANDB, MLFLOW, TRACKIO = TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")
"""As transformers calls them, and as their packages are called."""


def parse_trackers(text: str | None) -> tuple[str, ...]:
    """Return the trackers that ``--report-to`` names, each once; none for ``None`` or ``none``.

    Raises:
        CrildError: one is unknown, or not installed.
    """
    names = dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip())
    if not names or list(names) == ["none"]:
        return ()
    for name in names:
        if name not in TRACKERS:
            known = ", ".join(TRACKERS)
            raise CrildError(f"--report-to: no tracker {name!r}{nearest(name, TRACKERS)}: use some of {known}")
        if find_spec(name) is None:
            raise CrildError(f"--report-to {name}: it is not installed: pip install {name}")
    return tuple(names)
