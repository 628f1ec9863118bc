"""How the processes of one attempt find each other in a store that knew earlier attempts.

``torchrun --max-restarts`` keeps its store over a restart. Addresses of processes that are dead
still stand there, and whoever reads them waits in vain. So each process draws a number, the first
one collects those of the living, and the attempt goes by the first one's number.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import torch.distributed as dist


def meet(store: Any, rank: int, world: int, timeout: timedelta) -> Any:
    """Return a store of this attempt's own, once all its processes are there.

    Raises:
        TimeoutError: they are not.
    """
    mine, end = uuid.uuid4().hex, time.monotonic() + timeout.total_seconds()
    if rank == 0:
        store.set("cnnzoo/first", mine)
    while time.monotonic() < end:
        first = _read(store, "cnnzoo/first")
        if rank > 0 and first:  # perhaps of an earlier attempt: then nobody answers
            store.set(f"cnnzoo/here/{rank}", f"{first} {mine}")
            if mine in _read(store, f"cnnzoo/all/{first}"):
                return _named(first, store)
        if rank == 0:
            here = [_read(store, f"cnnzoo/here/{other}") for other in range(1, world)]
            if all(each.startswith(mine) for each in here):
                store.set(f"cnnzoo/all/{mine}", " ".join(here))
                return _named(mine, store)
        time.sleep(0.02)
    raise TimeoutError("Not all of them came.")


def _read(store: Any, key: str) -> str:
    return store.get(key).decode() if store.check([key]) else ""


def _named(name: str, store: Any) -> Any:
    return dist.PrefixStore(name, store)  # type: ignore[attr-defined]
