"""Random streams that are crild's own: a library call leaves the caller's as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def own_random_state() -> Iterator[None]:
    """Restore the random states of Python, NumPy and torch (on every device) on exit, also after an error.

    Inside, crild seeds them as it needs: training, fresh heads and objectives draw from the global streams. It is a
    decorator as well.

    Example:
        >>> with own_random_state():
        ...     torch.manual_seed(0)
    """
    python, numpy = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
