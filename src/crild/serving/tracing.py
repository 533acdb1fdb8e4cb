"""What the exporters of `transformers` have in common, whatever they export to."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

from transformers import PreTrainedModel

from crild.errors import CrildError, first_line

MOST_TEXT = 200  # characters of a library's complaint


@contextmanager
def silent() -> Iterator[None]:
    """Keep the exporters' progress off stdout, where results go, and their remarks on torch's insides off stderr.

    Who calls ``logging.info`` gives the root logger a handler, which would show all that is said afterwards its way.
    """
    before, handlers = logging.root.manager.disable, list(logging.root.handlers)
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        logging.root.handlers[:] = handlers


def refusal(model: PreTrainedModel, target: str, error: BaseException) -> CrildError:
    """Return what is raised for an architecture that cannot be exported."""
    return CrildError(
        f"{type(model).__name__} ({model.config.model_type}) cannot be exported to {target}: transformers' exporter "
        f"does not take this architecture ({first_line(error)[:MOST_TEXT]})"
    )
