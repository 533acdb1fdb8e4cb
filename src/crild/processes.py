"""Several processes that train one student together, as `torchrun` and `accelerate launch` start them.

Each of them reads the same and holds the same weights; the first one alone writes and speaks. Without a launcher there
is one process, and all of this does nothing.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from crild.errors import CrildError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
PATIENCE = timedelta(minutes=30)  # that one process waits for another before it gives up
FAILED = "crild/failed"
GONE = "another process of this run is gone; its own message, or its machine's, says why"


def launched() -> int:
    """Return how many processes a launcher has started together; 1 without one. No torch is loaded."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def index() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0")) if launched() > 1 else 0


def is_main() -> bool:
    """Whether this is the process that writes and speaks."""
    return index() == 0


def refuse_several(what: str) -> None:
    """Raise `CrildError` where ``what``, which works in one process, was started in several."""
    if launched() > 1:
        raise CrildError(f"{what} works in one process: start it without torchrun or accelerate launch")


def start() -> None:
    """Let the processes of a launcher find each other; the current device becomes this process's own.

    Raises:
        CrildError: there are more processes on this machine than GPUs.
    """
    import torch
    from accelerate import PartialState
    from torch import distributed

    if launched() == 1 or distributed.is_initialized():
        return
    gpus, here = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if 0 < gpus < here:
        raise CrildError(f"{here} processes and {gpus} GPU(s) on this machine: start one process a GPU, or hide the "
                         "GPUs (CUDA_VISIBLE_DEVICES=) to train on the CPU")  # fmt: skip
    # Models are loaded whole everywhere, also by `accelerate launch --use_fsdp`: a teacher is never sharded.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    PartialState(cpu=gpus == 0, timeout=PATIENCE)


def count() -> int:
    """Return how many processes work together here."""
    from torch import distributed

    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


# ---- what they tell each other; every process has to call these, in the same order ----


def gathered(value: T) -> list[T]:
    """Return the value that each process gives, in their order."""
    from torch import distributed

    if count() == 1:
        return [value]
    found: list[Any] = [None] * count()
    distributed.all_gather_object(found, value)
    return found


def total(tensor: "Tensor") -> "Tensor":
    """Return the sum of the tensors that the processes give, in which there is no gradient."""
    from torch import distributed

    if count() > 1:
        tensor = tensor.detach().clone()
        distributed.all_reduce(tensor)
    return tensor


def on_main(work: Callable[[], T]) -> T:
    """Let the main process work, the others wait; return what it found, on every process.

    Raises:
        CrildError: what the main process raised, on every process.
    """
    from torch import distributed

    if count() == 1:
        return work()
    told: list[Any] = [None, None]
    error: Exception | None = None
    if is_main():
        try:
            told[0] = work()
        except Exception as caught:
            error = caught
            told[1] = str(caught) or type(caught).__name__
    distributed.broadcast_object_list(told)
    if error is not None:
        raise error
    if told[1] is not None:
        raise CrildError(told[1])
    return told[0]


@contextmanager
def main_first(context: AbstractContextManager[T]) -> Iterator[T]:
    """Enter a context that writes something on the main process, and only then on the others."""
    entered: list[T] = []
    with ExitStack() as stack:
        on_main(lambda: entered.append(stack.enter_context(context)))
        if not entered:
            entered.append(stack.enter_context(context))
        yield entered[0]


def wait() -> None:
    """Wait until every process is here."""
    on_main(lambda: None)


def agree(what: str, value: Any) -> None:
    """Raise `CrildError`, on every process, where they do not all have the same ``value``."""
    values = gathered(value)
    other = next((number for number, each in enumerate(values) if each != values[0]), None)
    if other is not None:
        raise CrildError(f"process {other} has another {what} than process 0: give every machine the same files, "
                         "options and packages")  # fmt: skip


def share(items: Sequence[T]) -> Sequence[T]:
    """Return the items that are this process's to work on."""
    return items[index() :: count()] if count() > 1 else items


# ---- how they end ----


def part() -> None:
    """Let go of the other processes, where all have done what there was to do."""
    from torch import distributed

    if count() > 1:
        distributed.destroy_process_group()


def is_first_to_fail() -> bool:
    """Whether no other process has failed before this one: it says why, the others end without a word.

    The launcher's store counts; where it cannot be asked, every process speaks.
    """
    from torch import distributed

    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = distributed.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=5))
        return store.add(f"{FAILED}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1) == 1
    except Exception:  # no launcher of torch's, or it is gone
        return True


def lost_another(error: BaseException) -> bool:
    """Whether an error says no more than that another process does not answer."""
    from torch import distributed

    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error) for w in ("gloo", "NCCL", "Connection closed"))


def leave(code: int) -> NoReturn:
    """End this process at once: whoever waits for the others at its exit would never end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
