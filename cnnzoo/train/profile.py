"""Where the time of an epoch goes: a clock that the training loop tells what it has just done.

With profiling off a `NoClock` takes its place, whose calls cost some tens of nanoseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

SECTIONS = ("data", "forward", "backward", "step", "metrics", "evaluation", "logging", "other")
_PLAIN = ("cpu", "meta")  # devices that have nothing in flight when a call returns


class StepClock:
    """Adds up time by section: each call closes the one that began with the call before.

    Nothing between `start` and the last call is lost or counted twice, so the total is wall time.
    On an accelerator every call first waits until the device has finished, or the time of a kernel
    would be found in whatever section waits for it; that makes the whole run slower than without.

    Args:
        device: where the model is.
        now: source of the time, in nanoseconds.

    Attributes:
        nanoseconds: section → time in it so far.
        images: how many were trained on; the trainer adds to it, for the last column of `table`.

    >>> times = iter([0, 30_000_000, 90_000_000])
    >>> clock = StepClock("cpu", now=lambda: next(times))
    >>> clock.images = 100
    >>> clock.start()
    >>> clock("data")
    >>> clock("forward")
    >>> print(clock.table())
    section     seconds   share  µs/image
    data          0.030   33.3%     300.0
    forward       0.060   66.7%     600.0
    total         0.090  100.0%     900.0
    """

    def __init__(
        self, device: torch.device | str, *, now: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self.nanoseconds: dict[str, int] = {}
        self.images = 0
        self._device = torch.device(device)
        self._waits = self._device.type not in _PLAIN
        self._now = now
        self._last: int | None = None

    def start(self) -> None:
        """Begin a section, or begin again: what lies between the last call and now is left out."""
        self._wait()
        self._last = self._now()

    def __call__(self, section: str) -> None:
        """Count the time since the last call as ``section``; before `start` it only begins."""
        self._wait()
        now = self._now()
        if self._last is not None:
            self.nanoseconds[section] = self.nanoseconds.get(section, 0) + now - self._last
        self._last = now

    def _wait(self) -> None:
        if self._waits:
            torch.accelerator.synchronize(self._device)

    def to_json(self) -> dict[str, Any]:
        """Return ``{"images": …, "seconds": {section: …}}``, in the order of `table`."""
        seconds = {name: self.nanoseconds[name] / 1e9 for name in self._sections()}
        return {"images": self.images, "seconds": seconds}

    def table(self) -> str:
        """Return a line for each section that took time, and their total."""
        total = sum(self.nanoseconds.values())
        lines = [f"{'section':<10}{'seconds':>9}{'share':>8}{'µs/image':>10}"]
        times = {name: self.nanoseconds[name] for name in self._sections()} | {"total": total}
        for name, spent in times.items():
            each = f"{spent / self.images / 1e3:.1f}" if self.images else "-"
            share = f"{spent / total:.1%}" if total else "-"
            lines.append(f"{name:<10}{spent / 1e9:>9.3f}{share:>8}{each:>10}")
        return "\n".join(lines)

    def _sections(self) -> list[str]:
        """Return the known ones in the order of a step, then any others as they came."""
        known = [name for name in SECTIONS if name in self.nanoseconds]
        return known + [name for name in self.nanoseconds if name not in SECTIONS]


class NoClock:
    """Takes the calls of a `StepClock` and does nothing.

    >>> clock = NoClock()
    >>> clock("forward")
    >>> clock.table()
    ''
    """

    def __init__(self) -> None:
        self.images = 0

    def start(self) -> None:
        """Do nothing."""

    def __call__(self, section: str) -> None:
        """Do nothing."""

    def to_json(self) -> dict[str, Any]:
        """Return nothing measured, in the form of `StepClock.to_json`."""
        return {"images": 0, "seconds": {}}

    def table(self) -> str:
        """Return an empty string."""
        return ""
