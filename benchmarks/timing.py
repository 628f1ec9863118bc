"""How everything here is timed: candidates take turns in one run, ratios are taken turn by turn.

A shared machine is fast in one minute and slow in the next, so a figure of its own means little;
what alternates meets the same minutes. A round gives every candidate one turn, in an order that is
shuffled anew. A turn waits until the threads of whoever ran before have stopped spinning, makes
one call that is not timed (it brings caches and clock back), then times its calls one by one: its
figure is their median. The ratio of two candidates is the median over rounds of the ratio of their
turns, its spread the quartiles.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

LONGEST_WAIT = 0.3  # seconds for threads to come to rest: ONNX Runtime's spin for some 50 ms


class Contender(Protocol):
    """Anything that can time so many of its calls: here, or in another process."""

    def measure(self, calls: int) -> list[float]:
        """Seconds of each of ``calls`` calls, after one that is not timed."""
        ...


@dataclass
class Candidate:
    """A function of this process.

    Attributes:
        run: one call, its buffers ready.
        before: what a turn has to set first and is not timed, as the number of threads.
        clock: in seconds; for work of one thread `time.thread_time` leaves out what others took.
    """

    run: Callable[[], Any]
    before: Callable[[], None] = field(default=lambda: None)
    clock: Callable[[], float] = time.perf_counter

    def measure(self, calls: int) -> list[float]:
        self.before()
        self.run()
        seconds = []
        for _ in range(calls):
            start = self.clock()
            self.run()
            seconds.append(self.clock() - start)
        return seconds


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Spread:
    """How many times longer the first takes, round by round."""
    return Spread.of([a / b for a, b in zip(numerator, denominator, strict=True)])


def alternate(
    candidates: Mapping[str, Contender], rounds: int, turn: float, warm_up: float = 0.1
) -> dict[str, list[float]]:
    """Time the candidates: name → seconds a call, one figure a round.

    Args:
        candidates: who is compared.
        rounds: turns of each.
        turn: seconds that a turn should take; it has at least three calls.
        warm_up: seconds of calls before the first turn, for each.
    """
    calls = {name: _calls(each, turn, warm_up) for name, each in candidates.items()}
    turns: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    shuffle = random.Random(0).shuffle
    gc.collect()
    gc.disable()  # a collection in the middle of a turn is nobody's work
    try:
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                wait_until_quiet()
                turns[name].append(statistics.median(candidates[name].measure(calls[name])))
    finally:
        gc.enable()
    return turns


def wait_until_quiet() -> None:
    """Sleep until no thread of this process burns time: thread pools spin after their work."""
    give_up = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < give_up:
        before = time.process_time()
        time.sleep(0.002)
        if time.process_time() - before < 0.0005:
            return


def _calls(contender: Contender, turn: float, warm_up: float) -> int:
    """Warm up, and count the calls that fill a turn."""
    seconds: list[float] = []
    start = time.monotonic()
    while time.monotonic() - start < warm_up or len(seconds) < 3:
        seconds += contender.measure(1)
    return max(3, min(1000, round(turn / max(statistics.median(seconds), 1e-7))))
