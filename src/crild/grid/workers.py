"""Who runs the cells: this process, several local ones, or Ray."""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import torch

from crild.console import quiet_libraries, say
from crild.errors import CrildError
from crild.grid.cells import Outcome, log_of, run_cell
from crild.grid.spec import Cell

Job = tuple[Cell, bool]
"""A cell, and whether its weights are kept."""
Note = Callable[[Cell, Outcome], None]
MOST_TRIES = 3  # of a run whose worker is lost


class Pool(Protocol):
    """Something that runs cells; ``size`` at a time."""

    size: int

    def run(self, folder: Path, jobs: list[Job], note: Note) -> None:
        """Run all jobs; call ``note`` with each outcome as it comes."""

    def close(self) -> None:
        """Let the workers go."""


def open_pool(workers: str | int, threads: int, address: str | None = None) -> Pool:
    """Return the pool that ``--workers`` names.

    Raises:
        CrildError: it is neither a number nor ``ray``, or Ray is not installed.
    """
    if str(workers) == "ray":
        return RayPool(threads, address)
    if address is not None:
        raise CrildError("--address is of a Ray cluster: add --workers ray")
    if not str(workers).isdigit() or int(workers) < 1:
        raise CrildError(f"--workers {workers}: give a number of local processes, or ray")
    return Here(threads) if int(workers) == 1 else Processes(int(workers), threads)


def share_threads(workers: str | int) -> int:
    """Return the threads of one run where the grid does not say: the cores, shared out; one each on Ray."""
    cores = os.cpu_count() or 1
    return max(1, cores // int(workers)) if str(workers).isdigit() and int(workers) else 1


class Here:
    """Runs in this process, one after the other."""

    size = 1

    def __init__(self, threads: int) -> None:
        self.before = torch.get_num_threads()
        torch.set_num_threads(threads)

    def run(self, folder: Path, jobs: list[Job], note: Note) -> None:
        """Run all jobs in order."""
        for cell, keep in jobs:
            note(cell, run_cell(str(folder), cell, keep))

    def close(self) -> None:
        """Give the threads back."""
        torch.set_num_threads(self.before)


def begin_worker(threads: int, parent: int) -> None:
    """Prepare a worker process; it ends when its parent does, whose next start would otherwise meet it."""
    torch.set_num_threads(threads)
    quiet_libraries()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Processes:
    """Local processes, the cores' threads divided among them."""

    def __init__(self, size: int, threads: int) -> None:
        self.size, self.threads = size, threads
        self.pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.size, get_context("spawn"), initializer=begin_worker, initargs=(self.threads, os.getpid())
        )

    def run(self, folder: Path, jobs: list[Job], note: Note) -> None:
        """Run all jobs; a lost process's runs are taken up again."""
        tries = {cell.folder: 1 for cell, _ in jobs}
        left = list(jobs)
        while left:
            futures: dict[Future[Outcome], Job] = {
                self.pool.submit(run_cell, str(folder), cell, keep): (cell, keep) for cell, keep in left
            }
            left, lost = [], False
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    cell, keep = futures.pop(future)
                    try:
                        note(cell, future.result())
                    except BrokenProcessPool:  # this run's process, or another one: all that wait are handed back
                        lost = True
                        left.append((cell, keep))
            if lost:
                self.pool.shutdown()
                self.pool = self._start()
                # A run that no worker had taken yet has lost nothing: its turn simply comes later.
                left = [job for job in left if not taken(folder, job[0]) or not given_up(job[0], tries, note)]

    def close(self) -> None:
        """End the processes."""
        self.pool.shutdown(cancel_futures=True)


class RayPool:
    """Ray tasks: on an existing cluster (which sees the same folders), or on a local one."""

    def __init__(self, threads: int, address: str | None) -> None:
        try:
            import ray
        except ImportError:
            raise CrildError("--workers ray needs Ray: pip install 'crild[ray]'") from None
        self.ray: Any = ray
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            raise CrildError(f"Ray does not start{f' at {address}' if address else ''}: {error}") from None
        self.task = ray.remote(num_cpus=threads, max_retries=0)(run_on_ray)
        self.threads = threads
        self.size = max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)

    def run(self, folder: Path, jobs: list[Job], note: Note) -> None:
        """Run all jobs; a lost worker's run is taken up again."""
        tries = {cell.folder: 1 for cell, _ in jobs}
        root = str(folder.resolve())
        waiting: dict[Any, Job] = {self.task.remote(root, c, keep, self.threads): (c, keep) for c, keep in jobs}
        while waiting:
            done, _ = self.ray.wait(list(waiting), num_returns=1)
            cell, keep = waiting.pop(done[0])
            try:
                note(cell, self.ray.get(done[0]))
            except self.ray.exceptions.RayError:
                if not given_up(cell, tries, note):
                    waiting[self.task.remote(root, cell, keep, self.threads)] = (cell, keep)

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        self.ray.shutdown()


def run_on_ray(root: str, cell: Cell, keep: bool, threads: int) -> Outcome:
    """Run a cell in a Ray worker."""
    torch.set_num_threads(threads)
    quiet_libraries()
    return run_cell(root, cell, keep)


def taken(folder: Path, cell: Cell) -> bool:
    """Return whether a worker has taken a run."""
    return log_of(folder, cell).exists()


def given_up(cell: Cell, tries: dict[str, int], note: Note) -> bool:
    """Say that a run's worker was lost, and that it goes on; or, the third time, note that it failed."""
    if tries[cell.folder] >= MOST_TRIES:
        note(cell, Outcome(error=f"its worker was lost {MOST_TRIES} times (out of memory?)"))
        return True
    tries[cell.folder] += 1
    say(f"{cell.name}: its worker was lost; running it again")
    return False
