"""A memory with its rules: bounds, alignment, initialisation, `cp.async` bytes not yet there.

Shared memory of all blocks of a wave lies in one `Memory`, one stretch a block. Allocations keep a
distance, and an access is aligned to its size, so one that starts and ends inside what is valid
lies inside one allocation. Races are in `races`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.races import Races

if TYPE_CHECKING:
    from ptx.wave import Wave

POISON = 0xFF  # what nobody wrote: a NaN in every floating-point type


class Memory:
    """Bytes with their rules. An access is rows of `size` bytes: byte `row * size` and the next.

    Attributes:
        data: the bytes; poisoned where nobody wrote.
        valid: what belongs to an allocation or a variable.
        written: initialised.
        pending: bytes of a `cp.async` that nobody waited for.
        races: who touched what; None for memory of one thread's own.
    """

    def __init__(self, space: str, size: int, grain: int | None) -> None:
        size = -(-size // 16) * 16
        self.space = space
        self.data = np.full(size, POISON, np.uint8)
        self.valid = np.zeros(size, bool)
        self.written = np.zeros(size, bool)
        self.pending = np.zeros(size, bool)
        self.start_launch(grain, size)

    def start_launch(self, grain: int | None, used: int) -> None:
        """What earlier launches did is ordered before this one, which touches `used` bytes."""
        self.races = Races(self.space, -(-used // 16) * 16, grain) if grain else None

    def rows(
        self, wave: Wave, lanes: NDArray, offset: NDArray, base: NDArray | int, limit: int,
        size: int, what: str,
    ) -> NDArray[np.int64]:  # fmt: skip
        """Check an access of `size` bytes at `offset` of a stretch that starts at `base`."""
        misaligned = offset % np.uint64(size) != 0
        if misaligned.any():
            wave.fault(f"misaligned {what} of {size} bytes, {self.space} memory", lanes, misaligned)
        outside = offset > np.uint64(limit - size)
        start = np.where(outside, np.uint64(0), offset).astype(np.int64) + base
        outside |= ~(self.valid[start] & self.valid[start + size - 1])
        if outside.any():
            at = int(np.asarray(offset)[outside][0])
            wave.fault(f"out-of-bounds {what}, {self.space} memory, at {at:#x}", lanes, outside)
        return start // size

    def read(
        self, wave: Wave, lanes: NDArray, rows: NDArray, size: int, atomic: bool = False
    ) -> NDArray[np.uint8]:
        """The bytes: (lanes, size)."""
        missing = ~self.written.reshape(-1, size)[rows].all(1)
        if missing.any():
            waiting = self.pending.reshape(-1, size)[rows].any(1) & missing
            if waiting.any():
                wave.fault("read of cp.async bytes before the wait", lanes, waiting)
            wave.fault(f"read of uninitialised {self.space} memory", lanes, missing)
        if self.races is not None and not atomic:
            self.races.read(wave, lanes, rows, size)
        return self.data.reshape(-1, size)[rows]

    def write(
        self, wave: Wave, lanes: NDArray, rows: NDArray, data: NDArray[np.uint8],
        atomic: bool = False,
    ) -> None:  # fmt: skip
        """Write `data`: (lanes, size)."""
        size = data.shape[1]
        busy = self.pending.reshape(-1, size)[rows].any(1)
        if busy.any():
            wave.fault("write over cp.async bytes before the wait", lanes, busy)
        if self.races is not None and not atomic:
            self.races.write(wave, lanes, rows, size)
        self.data.reshape(-1, size)[rows] = data
        self.written.reshape(-1, size)[rows] = True

    def begin_copy(self, wave: Wave, lanes: NDArray, rows: NDArray, size: int) -> None:
        """A `cp.async` has these bytes from now on."""
        busy = self.pending.reshape(-1, size)[rows].any(1)
        if busy.any():
            wave.fault("two cp.async at the same bytes without a wait", lanes, busy)
        if self.races is not None:
            self.races.write(wave, lanes, rows, size)
        self.written.reshape(-1, size)[rows] = False
        self.pending.reshape(-1, size)[rows] = True

    def end_copy(self, wave: Wave, lanes: NDArray, rows: NDArray, data: NDArray[np.uint8]) -> None:
        """The thread that copied has waited: now the bytes are there, written by it now."""
        self.pending.reshape(-1, data.shape[1])[rows] = False
        self.write(wave, lanes, rows, data)
