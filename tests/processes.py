"""`crild` in processes of its own that start at once: forked from one that has imported everything.

They are killed, write their streams and end with an exit code as any other.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.killer"])


@dataclass(frozen=True)
class Ended:
    """What is left of a process; a negative code is the signal that ended it."""

    returncode: int | None
    stdout: str
    stderr: str


class Running:
    """A process that runs ``crild ARGUMENTS``; with a ``place`` it kills itself there (`tests.killer`)."""

    def __init__(self, arguments: Sequence[object], place: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="crild-test-"))
        words = [str(each) for each in arguments]
        self.process: BaseProcess = CONTEXT.Process(target=_main, args=(words, place, str(self.folder)))
        self.process.start()

    @property
    def pid(self) -> int:
        """The process, and its group: it is the first of a session, so that what is left of it can be found."""
        assert self.process.pid is not None
        return self.process.pid

    def finish(self, seconds: float = 600.0) -> Ended:
        """Wait for the end."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, "it runs for too long"
        return Ended(self.process.exitcode, *((self.folder / name).read_text() for name in ("stdout", "stderr")))


def _main(arguments: list[str], place: str | None, folder: str) -> None:
    os.setsid()
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT), stream)
    import tests.killer

    if place is not None:
        tests.killer.arrange(place)
    code = tests.killer.main(arguments)
    sys.stdout.flush()
    sys.exit(code)
