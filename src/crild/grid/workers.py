"""Who runs the cells: this process, several local ones, or Ray."""

import logging
import math
import os
import re
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
from crild.errors import CrildError, to_install
from crild.grid.cells import Outcome, one_line
from crild.grid.spec import Cell, log_of
from crild.grid.tuning import run_job

Job = tuple[Cell, bool]
"""A cell, and whether its weights are kept."""
OnOutcome = Callable[[Cell, Outcome], None]
MOST_TRIES = 3  # of a run whose worker is lost
VISIBLE = "CUDA_VISIBLE_DEVICES"
LOST = (
    "WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "LocalRayletDiedError", "ObjectLostError",
)  # fmt: skip


class Pool(Protocol):
    """Something that runs cells; ``size`` at a time."""

    size: int

    def run(self, folder: Path, jobs: list[Job], on_outcome: OnOutcome) -> None:
        """Run all jobs; call ``on_outcome`` with each outcome as it comes."""

    def close(self) -> None:
        """Let the workers go."""


def open_pool(workers: str | int, threads: int, address: str | None = None) -> Pool:
    """Return the pool that ``--workers`` names.

    Raises:
        CrildError: it is neither a number nor ``ray``, or Ray is not installed.
    """
    refuse_workers(workers, address)
    if str(workers) == "ray":
        return RayPool(threads, address)
    return ThisProcess(threads) if int(workers) == 1 else LocalProcesses(int(workers), threads)


def refuse_workers(workers: str | int, address: str | None) -> None:
    """Raise `CrildError` where ``--workers`` is neither a number nor ``ray``, or ``--address`` means nothing."""
    if str(workers) == "ray":
        return
    if address is not None:
        raise CrildError("--address is of a Ray cluster: add --workers ray")
    if not re.fullmatch("[1-9][0-9]*", str(workers)):
        raise CrildError(f"--workers {workers}: give a number of local processes, or ray")


def share_threads(workers: str | int) -> int:
    """Return the threads of one run where the grid does not say: the cores, shared out; one each on Ray."""
    cores = os.cpu_count() or 1
    return max(1, cores // int(workers)) if str(workers).isdigit() and int(workers) else 1


class ThisProcess:
    """Runs in this process, one after the other."""

    size = 1

    def __init__(self, threads: int) -> None:
        self.threads_before = torch.get_num_threads()
        torch.set_num_threads(threads)

    def run(self, folder: Path, jobs: list[Job], on_outcome: OnOutcome) -> None:
        """Run all jobs in order."""
        for cell, keep in jobs:
            on_outcome(cell, run_job(str(folder), cell, keep))

    def close(self) -> None:
        """Give the threads back."""
        torch.set_num_threads(self.threads_before)


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` spells them."""
    count = torch.cuda.device_count()
    allowed = os.environ.get(VISIBLE)
    return allowed.split(",")[:count] if allowed else [str(number) for number in range(count)]


def begin_worker(threads: int, parent: int, gpus: Any) -> None:
    """Prepare a worker process; it ends when its parent does, whose next start would otherwise meet it.

    Args:
        threads: of each of its runs.
        parent: process id.
        gpus: a queue from which the worker takes the GPU that it is to see; ``None`` where there is none.
    """
    if gpus is not None:
        os.environ[VISIBLE] = gpus.get()  # CUDA, which starts with the first tensor there, reads it once
    torch.set_num_threads(threads)
    quiet_libraries()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class LocalProcesses:
    """Local processes, the cores' threads divided among them, and the GPUs in turn."""

    def __init__(self, size: int, threads: int) -> None:
        self.size, self.threads, self.gpus = size, threads, visible_gpus()
        self.pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        context = get_context("spawn")
        turns = context.Queue() if self.gpus else None
        if turns is not None:
            for worker in range(self.size):
                turns.put(self.gpus[worker % len(self.gpus)])
        return ProcessPoolExecutor(
            self.size, context, initializer=begin_worker, initargs=(self.threads, os.getpid(), turns)
        )

    def run(self, folder: Path, jobs: list[Job], on_outcome: OnOutcome) -> None:
        """Run all jobs; a lost process's runs are taken up again."""
        tries = {cell.folder: 1 for cell, _ in jobs}
        left = list(jobs)
        while left:
            futures: dict[Future[Outcome], Job] = {
                self.pool.submit(run_job, str(folder), cell, keep): (cell, keep) for cell, keep in left
            }
            left, lost = [], False
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    cell, keep = futures.pop(future)
                    try:
                        outcome = future.result()
                    except BrokenProcessPool:  # this run's process, or another one: all that wait are handed back
                        lost = True
                        left.append((cell, keep))
                    except Exception as error:  # the worker lives: it is this run that cannot be made
                        on_outcome(cell, Outcome(error=one_line(error)))
                    else:
                        on_outcome(cell, outcome)
            if lost:
                self.pool.shutdown()
                self.pool = self._start()
                # A run that no worker had taken yet has lost nothing: its turn simply comes later.
                left = [job for job in left if not taken(folder, job[0]) or not given_up(job[0], tries, on_outcome)]

    def close(self) -> None:
        """End the processes."""
        self.pool.shutdown(cancel_futures=True)


class RayPool:
    """Ray tasks: on an existing cluster (which sees the same folders), or on a local one."""

    def __init__(self, threads: int, address: str | None) -> None:
        try:
            import ray
        except ImportError:
            raise CrildError(f"--workers ray needs Ray: {to_install('ray')}") from None
        self.ray: Any = ray
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            raise CrildError(f"Ray does not start{f' at {address}' if address else ''}: {error}") from None
        resources = ray.cluster_resources()
        self.threads = threads
        self.size = max(1, int(resources.get("CPU", 1)) // threads)
        gpus = gpu_share(self.size, int(resources.get("GPU", 0)))
        self.task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(run_on_ray)
        self.lost = tuple(getattr(ray.exceptions, name) for name in LOST)

    def run(self, folder: Path, jobs: list[Job], on_outcome: OnOutcome) -> None:
        """Run all jobs; a lost worker's run is taken up again, one that fails is not."""
        tries = {cell.folder: 1 for cell, _ in jobs}
        root = str(folder.resolve())
        waiting: dict[Any, Job] = {self.task.remote(root, c, keep, self.threads): (c, keep) for c, keep in jobs}
        while waiting:
            done, _ = self.ray.wait(list(waiting), num_returns=1)
            cell, keep = waiting.pop(done[0])
            try:
                outcome = self.ray.get(done[0])
            except self.lost:
                if not given_up(cell, tries, on_outcome):
                    waiting[self.task.remote(root, cell, keep, self.threads)] = (cell, keep)
            except Exception as error:  # the task's own, or Ray's where no worker can take it
                on_outcome(cell, Outcome(error=one_line(getattr(error, "cause", None) or error)))
            else:
                on_outcome(cell, outcome)

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        self.ray.shutdown()


def gpu_share(workers: int, gpus: int) -> float:
    """Return what each worker asks of a GPU: a whole one, or a part where there are more workers than GPUs."""
    if gpus == 0:
        return 0
    workers_of_one = math.ceil(workers / gpus)
    return math.floor(10_000 / workers_of_one) / 10_000  # Ray counts ten-thousandths


def run_on_ray(root: str, cell: Cell, keep: bool, threads: int) -> Outcome:
    """Run a cell in a Ray worker."""
    torch.set_num_threads(threads)
    quiet_libraries()
    return run_job(root, cell, keep)


def taken(folder: Path, cell: Cell) -> bool:
    """Return whether a worker has taken a run."""
    return log_of(folder, cell).exists()


def given_up(cell: Cell, tries: dict[str, int], on_outcome: OnOutcome) -> bool:
    """Say that a run's worker was lost, and that it goes on; or, the third time, note that it failed."""
    if tries[cell.folder] >= MOST_TRIES:
        on_outcome(cell, Outcome(error=f"its worker was lost {MOST_TRIES} times (out of memory?)"))
        return True
    tries[cell.folder] += 1
    say(f"{cell.name}: its worker was lost; running it again")
    return False
