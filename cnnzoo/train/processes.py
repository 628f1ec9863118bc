"""The processes that share a run: one, unless ``torchrun`` started several.

``torchrun`` is the engine: it starts the processes, tells each its number, and starts them again
when one dies. Here they meet and exchange what they counted. When one can no longer be reached the
others end with a sentence (`cnnzoo.train.lost_process`). ``docs/many_machines.md`` is the guide.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from cnnzoo.errors import CnnzooError
from cnnzoo.train.lost_process import Obituaries, not_met, wait_for_store
from cnnzoo.train.meeting import meet

_T = TypeVar("_T")


class Processes:
    """The processes of this run, seen from one of them. All have to call its methods alike.

    Attributes:
        rank: number of this process, from 0.
        world: number of processes.
        is_main: whether this is the one that prints and writes.
    """

    def __init__(self, rank: int = 0, world: int = 1, store: Any = None) -> None:
        self.rank, self.world = rank, world
        self.is_main = rank == 0
        self._obituaries = Obituaries(rank, world, store)

    @classmethod
    def join(cls) -> Processes:
        """Meet the others, if ``torchrun`` started this process; alone otherwise.

        On the CPU they talk by gloo, of what lies on GPUs by nccl. The environment variable
        ``CNNZOO_TIMEOUT`` says how many seconds to wait for another process, 120 by default.

        Raises:
            CnnzooError: not all of them came in time, or the environment is not as ``torchrun``
                leaves it.
        """
        if dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size(), _Joined.store)
        if "RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
            return cls()
        timeout = timedelta(seconds=seconds_to_wait())
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            if os.environ["RANK"] != "0":
                wait_for_store(timeout)
            store, rank, world = next(rendezvous("env://", timeout=timeout))
            store = meet(store, rank, world, timeout)
            _Joined.store = store
            dist.init_process_group(
                backend, store=store, rank=rank, world_size=world, timeout=timeout
            )
        except (RuntimeError, TimeoutError, ValueError) as error:
            raise not_met(error, timeout) from None
        atexit.register(_part)
        return cls(rank, world, store)

    def place(self, device: torch.device) -> torch.device:
        """Return this process's own device, where the run is to be on devices of that kind.

        Raises:
            CnnzooError: there are fewer GPUs than processes, or it is a device that processes
                cannot share.
        """
        if self.world == 1 or device.type == "cpu":
            return device
        if device.type != "cuda" or device.index is not None:
            raise CnnzooError(
                f"Several processes share a run on the CPU or on a GPU each; got device={device}: "
                'take device="cpu", or "cuda", which gives each process its own.'
            )
        count = torch.cuda.device_count()
        number = int(os.environ.get("LOCAL_RANK", self.rank % count))
        if number >= count:
            raise CnnzooError(
                f"Each process needs a GPU of its own: this machine has {count}, and this is its "
                f"process number {number + 1}. Start fewer (--nproc-per-node {count}), or take "
                "--device cpu."
            )
        torch.cuda.set_device(number)
        return torch.device("cuda", number)

    def from_main(self, make: Callable[[], _T]) -> _T:
        """Return what ``make`` returns in the main process, or raise its `CnnzooError`, in all."""
        if self.world == 1:
            return make()
        told: list[Any] = [None, None]
        if self.is_main:
            try:
                told[0] = make()
            except CnnzooError as error:
                told[1] = str(error)
        with self.explained():
            dist.broadcast_object_list(told)
        if told[1] is not None:
            raise CnnzooError(told[1])
        made: _T = told[0]
        return made

    @contextlib.contextmanager
    def one_first(self) -> Iterator[None]:
        """Let one process of each machine do something before the others of it: a download."""
        first = os.environ.get("LOCAL_RANK", "0") == "0"
        if not first:
            self.any(False)
        try:
            yield
        finally:  # those who wait may have better luck, or say themselves what is wrong
            if first:
                self.any(False)

    def spread(self, model: nn.Module) -> None:
        """Give every process the weights and buffers that ``model`` has in the main one."""
        self._spread([*model.parameters(), *model.buffers()])

    def spread_buffers(self, model: nn.Module) -> None:
        """Give every process the buffers alone, such as the running means of batch norm."""
        self._spread(list(model.buffers()))

    def _spread(self, tensors: list[Tensor]) -> None:
        if self.world > 1:
            with self.explained(), torch.no_grad():
                for each in tensors:
                    dense = each.detach().contiguous()
                    dist.broadcast(dense, 0)
                    each.detach().copy_(dense)

    def share(self, model: nn.Module) -> nn.Module:
        """Return what to call in place of ``model``, so that gradients are averaged."""
        if self.world == 1:
            return model
        with self.explained():
            return nn.parallel.DistributedDataParallel(model)

    def averaging(self, shared: nn.Module, now: bool) -> contextlib.AbstractContextManager[Any]:
        """Return a context whose backward pass averages gradients, or leaves it to a later one."""
        if isinstance(shared, nn.parallel.DistributedDataParallel) and not now:
            return shared.no_sync()
        average_now = getattr(shared, "set_requires_gradient_sync", None)  # FSDP2's
        if average_now:
            average_now(now)
        return contextlib.nullcontext()

    def add_up(self, *numbers: Tensor) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.world > 1:
            with self.explained():
                for each in numbers:
                    dist.all_reduce(each)

    def highest(self, *numbers: float) -> list[float]:
        """Return the highest of each number in any process."""
        if self.world == 1:
            return list(numbers)
        gpu_only = str(dist.get_backend_config()) == "cuda:nccl"  # somebody else's process group
        values = torch.tensor(numbers, dtype=torch.float64, device="cuda" if gpu_only else "cpu")
        with self.explained():
            dist.all_reduce(values, dist.ReduceOp.MAX)
        return values.tolist()

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        return self.highest(float(here)) == [1.0] if self.world > 1 else here

    def collect(self, thing: Any) -> list[Any]:
        """Return what each process has, in the order of their numbers; not for large things."""
        if self.world == 1:
            return [thing]
        things: list[Any] = [None] * self.world
        with self.explained():
            dist.all_gather_object(things, thing)
        return things

    def interleave(self, rows: Tensor) -> Tensor:
        """Return the rows of all: row i of process r is row i·world + r."""
        if self.world == 1:
            return rows
        pieces = self.collect(rows.cpu())
        whole = torch.empty((sum(map(len, pieces)), *rows.shape[1:]), dtype=rows.dtype)
        for rank, piece in enumerate(pieces):
            whole[rank :: self.world] = piece
        return whole

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the failure of an exchange within into a sentence."""
        try:
            yield
        except Exception as error:
            raise self._obituaries.read(error) or error from None

    def last_words(self, error: BaseException) -> BaseException:
        """Return the error to end with; the other processes can read why this one ended."""
        lost = self._obituaries.read(error)
        if lost is None:
            self._obituaries.write(error)
        return lost or error

    def main_said(self, error: BaseException) -> bool:
        """Whether the main process ended with the same words."""
        return not self.is_main and self._obituaries.of(0) == str(error)


class _Joined:
    """What the processes met at; torch keeps it for itself."""

    store: Any = None  # a Store of torch.distributed


def seconds_to_wait() -> float:
    """Return how long to wait for another process.

    Raises:
        CnnzooError: ``CNNZOO_TIMEOUT`` is no positive number.
    """
    text = os.environ.get("CNNZOO_TIMEOUT", "120")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise CnnzooError(
            f'CNNZOO_TIMEOUT is a number of seconds to wait for other processes; got "{text}".'
        )
    return seconds


def _part() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
