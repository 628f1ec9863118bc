"""Two ways a run ends early in good order: Ctrl-C, and a loss that is no number any more."""

from __future__ import annotations

import math
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, answered between two steps: the state is whole, and saved if the run has a folder."""


class StopSignal:
    """Turns the first Ctrl-C into a wish, so that a step is never left half done.

    The second Ctrl-C interrupts at once. Outside the main thread, where Python delivers no
    signals, it does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._old: Any = None
        self._installed = False

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            self._old = signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._old)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


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


def _diverged(value: float, epoch: int, step: int, lr: float) -> CnnzooError:
    return CnnzooError(
        f"The loss became {value} at step {step + 1} of epoch {epoch + 1}. Likely causes: "
        f"a learning rate that is too high (it is {lr:g}; try {lr / 10:g}), images that are not "
        "scaled (values around 0-1 are expected, not 0-255) or hold NaN, or a loss function that "
        "takes the logarithm of 0."
    )
