"""What to say when another process of a run can no longer be reached.

A process that ends with an error leaves word at the place where the processes met (the store of
``torchrun``, or of process 0). One that was killed leaves none: the others notice in their next
exchange, sign in, wait a moment for who else does, and name those who did not.
"""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from cnnzoo.errors import CnnzooError
from cnnzoo.train.guard import Interrupted

_GO_ON = "A run with a folder goes on from its last checkpoint: start all again with --resume."
_PATIENCE = 3.0  # seconds for the others to notice too
# gloo raises plain RuntimeErrors; only their text tells.
_WORDS = ("gloo/", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")


class LostProcess(CnnzooError):  # noqa: N818
    """Another process ended, or can no longer be reached."""


class Obituaries:
    """Who has ended and why, as far as this process can know.

    Args:
        rank: number of this process.
        world: number of processes.
        store: where they met; ``None``: somebody else's secret.
    """

    def __init__(self, rank: int, world: int, store: Any) -> None:
        self._rank, self._world, self._store = rank, world, store

    def write(self, error: BaseException) -> None:
        """Leave word that this process ends because of ``error``."""
        if self._alone() or isinstance(error, LostProcess | Interrupted):
            return
        text = str(error) if isinstance(error, CnnzooError) else f"{type(error).__name__}: {error}"
        self._store.set(f"cnnzoo/ended/{self._rank}", text)

    def of(self, rank: int) -> str | None:
        """Return the last words of a process, which may be speaking them at the moment."""
        end = time.monotonic() + 1
        while not self._alone() and time.monotonic() < end:
            if not self._without("ended", [rank]):
                return self._store.get(f"cnnzoo/ended/{rank}").decode()
            time.sleep(0.05)
        return None

    def read(self, error: BaseException) -> LostProcess | None:
        """Return the sentence for the failure of an exchange; ``None`` if it is another error."""
        if self._world == 1 or not _is_of_exchange(error):
            return None
        silent, words = self._roll_call()
        if words:
            rank = min(words)
            return LostProcess(f"Process {rank} ended: {words[rank]}")
        if not silent:
            return LostProcess(
                "The processes no longer understand each other, though all are there: one was "
                "waited for longer than CNNZOO_TIMEOUT allows, or the network failed "
                f"({str(error).splitlines()[0]}). {_GO_ON}"
            )
        names = " and ".join(f"process {rank}" for rank in silent)
        return LostProcess(
            f"{names[0].upper()}{names[1:]} can no longer be reached: killed, or cut off from the "
            f"network. {_GO_ON}"
        )

    def _roll_call(self) -> tuple[list[int], dict[int, str]]:
        """Return who gives no sign of life, and the words of those who left some."""
        others = [rank for rank in range(self._world) if rank != self._rank]
        if self._alone():  # process 0 kept the store, and is gone
            return ([0] if self._rank else others), {}
        if self._world == 2:
            time.sleep(0.2)  # it may be about to write
            silent = others
        else:
            self._store.set(f"cnnzoo/here/{self._rank}", "")
            end = time.monotonic() + _PATIENCE
            while (silent := self._without("here", others)) and time.monotonic() < end:
                time.sleep(0.1)
        wordless = self._without("ended", others)
        words = {
            rank: self._store.get(f"cnnzoo/ended/{rank}").decode()
            for rank in others
            if rank not in wordless
        }
        return [rank for rank in silent if rank in wordless], words

    def _without(self, sign: str, ranks: list[int]) -> list[int]:
        return [rank for rank in ranks if not self._store.check([f"cnnzoo/{sign}/{rank}"])]

    def _alone(self) -> bool:
        return self._world == 1 or self._store is None or not _store_answers()


def _is_of_exchange(error: BaseException) -> bool:
    """Whether an error is of an exchange between processes."""
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def wait_for_store(timeout: timedelta) -> None:
    """Wait until process 0, or ``torchrun``, keeps the store; torch would print stack traces.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + timeout.total_seconds()
    while not _store_answers():
        if time.monotonic() > end:
            raise TimeoutError("Nothing answers there.")
        time.sleep(0.1)


def not_met(error: Exception, timeout: timedelta) -> CnnzooError:
    """Return the sentence for processes that did not find each other."""
    if isinstance(error, ValueError):
        return CnnzooError(
            f"WORLD_SIZE says that {os.environ['WORLD_SIZE']} processes share this run, but what "
            f"torchrun sets besides it is not there ({error}). Start it by torchrun."
        )
    reason = str(error).splitlines()[0].rstrip(".")
    return CnnzooError(
        f"Process {os.environ['RANK']} did not find all {os.environ['WORLD_SIZE']} processes at "
        f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} within "
        f"{timeout.total_seconds():g} s (CNNZOO_TIMEOUT): were all started, and does each machine "
        f"reach that address? ({reason}.)"
    )


def _store_answers() -> bool:
    """Whether there is a store; asking the store itself would print torch's stack trace."""
    try:
        address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except KeyError as error:
        raise ValueError(f"no {error.args[0]}") from None
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True
