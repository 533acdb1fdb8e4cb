"""Two processes that work together, started by what `torchrun` is made of.

They are forked from one that has imported everything.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tests.processes import CONTEXT

__all__ = ["CONTEXT", "Ended", "command", "together"]  # the context names what is imported before


@dataclass(frozen=True)
class Ended:
    """What each process returned and wrote, and its exit code; ``None`` where its launcher has ended it."""

    returned: list[Any]
    codes: list[int | None]
    stdout: list[str]
    stderr: list[str]


def together(function: Callable[..., Any], *arguments: Any, processes: int = 2, **environment: str) -> Ended:
    """Run a function of a module in several processes; its arguments are plain values."""
    folder = Path(tempfile.mkdtemp(prefix="crild-together-"))
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id=folder.name, rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", max_restarts=0, monitor_interval=0.02, start_method="forkserver",
        logs_specs=DefaultLogsSpecs(log_dir=str(folder), redirects=Std.ALL), local_addr="localhost",
    )  # fmt: skip
    codes: list[int | None] = [0] * processes
    returned: list[Any] = []
    try:
        found = elastic_launch(config, _call)(function, arguments, environment)
        returned = [found[rank] for rank in range(processes)]
    except ChildFailedError as error:
        codes = [error.failures[rank].exitcode if rank in error.failures else None for rank in range(processes)]
    streams = [[file.read_text() for file in sorted(folder.rglob(f"{name}.log"))] for name in ("stdout", "stderr")]
    return Ended(returned, codes, *streams)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], environment: dict[str, str]) -> Any:
    os.environ.update(environment)
    return function(*arguments)


def command(*words: Any) -> None:
    """What `torchrun -m crild WORDS` runs."""
    from crild.cli import main

    sys.stdout.flush()
    if code := main([str(word) for word in words]):
        sys.exit(code)
