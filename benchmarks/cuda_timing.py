"""Timing on a GPU: calls lie between CUDA events, so that only the device's time counts.

A call that launches less work than a launch costs is timed as what it is: the device waits for the
host, and the events see it. CUDA graphs are among the candidates for that reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

Call = Callable[[], tuple[torch.Tensor, ...]]


@dataclass
class DeviceCandidate:
    """A function that works on the current CUDA device; see `benchmarks.timing.Contender`.

    Attributes:
        run: one call, its buffers ready; it need not wait for the device.
        before: what a turn has to set first, as cuDNN's switches; it is not timed.
    """

    run: Callable[[], Any]
    before: Callable[[], None] = field(default=lambda: None)

    def measure(self, calls: int) -> list[float]:
        """Seconds of each of ``calls`` calls, after one that is not timed."""
        self.before()
        self.run()
        events = [torch.cuda.Event(enable_timing=True) for _ in range(calls + 1)]
        events[0].record()
        for event in events[1:]:
            self.run()
            event.record()
        torch.cuda.synchronize()
        pairs = itertools.pairwise(events)
        return [start.elapsed_time(end) / 1e3 for start, end in pairs]


def graphed(call: Call) -> Call:
    """The call as a CUDA graph: launched as one, into the same buffers every time."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # libraries choose algorithms and allocate before the capture
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        given = call()

    def replay() -> tuple[torch.Tensor, ...]:
        graph.replay()
        return given

    return replay
