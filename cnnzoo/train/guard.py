"""How a run ends early in good order: Ctrl-C, a loss that is no number, too little memory."""

from __future__ import annotations

import math
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.train.config import TrainConfig

if TYPE_CHECKING:
    from cnnzoo.train.processes import Processes


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, answered between two steps: the state is whole, and saved if the run has a folder."""


class StopSignal:
    """Turns the first Ctrl-C or SIGTERM into a wish, so that a step is never left half done.

    SIGTERM is how ``torchrun`` and batch systems ask for an end. The second of a kind interrupts at
    once. Outside the main thread, where Python delivers no signals, it does nothing.

    Args:
        processes: those that stop together; they ask each other about once a second.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._wishes: set[int] = set()
        self._old: dict[int, Any] = {}
        self._steps, self._every, self._asked = 0, 1, time.perf_counter()

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number in self._wishes:
            raise KeyboardInterrupt
        self._wishes.add(number)

    def agreed(self) -> bool:
        """Whether to stop after this step; all processes ask after every step, and all agree."""
        if self._processes.world == 1:
            return bool(self._wishes)
        self._steps += 1
        if self._steps < self._every:
            return False
        spent = (time.perf_counter() - self._asked) / self._steps
        wish, slowest = self._processes.highest(float(bool(self._wishes)), spent)
        self._every = min(max(int(1 / max(slowest, 1e-3)), 1), 1000)
        self._steps, self._asked = 0, time.perf_counter()
        return bool(wish)


class LossGuard:
    """Raises when a loss is NaN or infinite, before it reaches the weights where that is free.

    On the CPU every step is looked at. Elsewhere reading a value makes the device wait, so losses
    are collected and looked at together; the first bad step is still the one that is named.
    """

    def __init__(self, device: torch.device) -> None:
        self._every = 1 if device.type == "cpu" else 100
        self._losses: list[Tensor] = []
        self._first = 0

    def add(self, loss: Tensor, epoch: int, step: int, lr: float) -> None:
        """Look at the loss of ``step`` (from 0) in ``epoch`` (from 0)."""
        if self._every == 1:
            if not math.isfinite(loss.item()):
                raise _diverged(loss.item(), epoch, step, lr)
            return
        if not self._losses:
            self._first = step
        self._losses.append(loss.detach())
        if len(self._losses) == self._every:
            self.flush(epoch, lr)

    def flush(self, epoch: int, lr: float) -> None:
        """Look at what was collected."""
        losses, self._losses = self._losses, []
        if losses:
            bad = torch.stack(losses).isfinite().logical_not().nonzero()
            if len(bad):
                index = int(bad[0])
                raise _diverged(losses[index].item(), epoch, self._first + index, lr)


def out_of_memory(error: BaseException, config: TrainConfig) -> CnnzooError | None:
    """Return the sentence for an error that means that the memory does not suffice, else None."""
    # The CPU's allocator raises a plain RuntimeError; only its text tells.
    on_cpu = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    if not (on_cpu or isinstance(error, torch.OutOfMemoryError | MemoryError)):
        return None
    half = max(config.batch_size // 2, 1)
    return CnnzooError(
        f"Not enough memory for a batch of {config.batch_size} images: try batch_size={half} with "
        f"accumulate={2 * config.accumulate}, which takes the same steps. A run with a folder goes "
        "on from its last checkpoint."
    )


def _diverged(value: float, epoch: int, step: int, lr: float) -> CnnzooError:
    return CnnzooError(
        f"The loss became {value} at step {step + 1} of epoch {epoch + 1}. Likely causes: "
        f"a learning rate that is too high (it is {lr:g}; try {lr / 10:g}), images that are not "
        "scaled (values around 0-1 are expected, not 0-255) or hold NaN, or a loss function that "
        "takes the logarithm of 0."
    )
