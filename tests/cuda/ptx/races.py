"""Who touched which bytes of a memory, and whether anything ordered it.

Two threads may touch a byte, one of them writing, only with a barrier of their block between, or a
`bar.warp.sync` of their warp; threads of different blocks never, within a launch. Atomics do not
count. Bytes are watched in grains of the smallest access that the kernel makes in this space, so
every access covers whole grains. In all arrays below rows are lanes, columns the grains of an
access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ptx.wave import Wave

NOBODY = -1
ONE, ONE_WARP, MORE = 0, 1, 2  # threads that read a grain since the last reader's barriers


class _Last:
    """The thread of the launch that touched each grain last, and its barriers so far."""

    def __init__(self, grains: int) -> None:
        self.thread = np.full(grains, NOBODY, np.int32)
        self.barrier = np.zeros(grains, np.int32)
        self.warp_barrier = np.zeros(grains, np.int32)

    def note(self, wave: Wave, lanes: NDArray, rows: NDArray, count: int) -> None:
        self.thread.reshape(-1, count)[rows] = wave.thread[lanes, None]
        self.barrier.reshape(-1, count)[rows] = wave.barriers[lanes, None]
        self.warp_barrier.reshape(-1, count)[rows] = wave.warp_barriers[lanes, None]


class _Seen:
    """How the last one at each grain of an access relates to the lane that comes now."""

    def __init__(self, last: _Last, wave: Wave, lanes: NDArray, rows: NDArray, count: int) -> None:
        thread = last.thread.reshape(-1, count)[rows]
        self.somebody = thread != NOBODY
        self.other = self.somebody & (thread != wave.thread[lanes, None])
        block = thread // wave.threads == wave.launch_block[lanes, None]
        self.same_warp = block & (thread % wave.threads // 32 == wave.warp_in_block[lanes, None])
        # With no barrier of the block between, and with none of the warp either.
        now = last.barrier.reshape(-1, count)[rows] == wave.barriers[lanes, None]
        synced = last.warp_barrier.reshape(-1, count)[rows] != wave.warp_barriers[lanes, None]
        self.no_barrier = block & now
        self.nothing = now & ~(self.same_warp & synced)
        self.unordered = self.other & (~block | self.nothing)


class Races:
    """The watch over one memory during one launch."""

    def __init__(self, space: str, size: int, grain: int) -> None:
        grains = size // grain
        self.space, self.grain = space, grain
        self.writer, self.reader = _Last(grains), _Last(grains)
        self.readers = np.full(grains, ONE, np.int8)
        # For memory that blocks share: the first block that read, and whether another one has.
        self.first_block = np.full(grains, NOBODY, np.int32)
        self.more_blocks = np.zeros(grains, bool)

    def read(self, wave: Wave, lanes: NDArray, rows: NDArray, size: int) -> None:
        """Check and note that these lanes read."""
        count = size // self.grain
        race = _Seen(self.writer, wave, lanes, rows, count).unordered
        if race.any():
            self._fault(wave, lanes, rows, self.writer, race, "reads what it wrote")
        seen = _Seen(self.reader, wave, lanes, rows, count)
        readers = self.readers.reshape(-1, count)
        before = readers[rows]
        level = np.where(seen.unordered, np.where(seen.same_warp, ONE_WARP, MORE), ONE)
        level = np.where(seen.no_barrier & (before == MORE), MORE, level)
        level = np.where(seen.same_warp & seen.nothing & (before == ONE_WARP),
                         np.maximum(level, ONE_WARP), level)  # fmt: skip
        self.reader.note(wave, lanes, rows, count)
        # Lanes of this very access that share a grain: the last one noted is not the others.
        beside = _Seen(self.reader, wave, lanes, rows, count)
        shared = np.where(beside.same_warp, ONE_WARP, MORE)
        level = np.maximum(level, np.where(beside.other, shared, ONE))
        readers[rows] = ONE
        for each in (ONE_WARP, MORE):
            lane, grain = np.nonzero(level == each)
            if len(lane):
                readers[rows[lane], grain] = each
        if self.space == "global":
            self._note_block(wave, lanes, rows, count)

    def _note_block(self, wave: Wave, lanes: NDArray, rows: NDArray, count: int) -> None:
        block = wave.launch_block[lanes, None]
        first = self.first_block.reshape(-1, count)
        before = first[rows]
        first[rows] = np.where(before == NOBODY, block, before)
        others = (first[rows] != block).any(1)
        if others.any():
            self.more_blocks.reshape(-1, count)[rows[others]] = True

    def write(self, wave: Wave, lanes: NDArray, rows: NDArray, size: int) -> None:
        """Check and note that these lanes write."""
        count = size // self.grain
        race = _Seen(self.writer, wave, lanes, rows, count).unordered
        if race.any():
            self._fault(wave, lanes, rows, self.writer, race, "writes what it wrote")
        seen = _Seen(self.reader, wave, lanes, rows, count)
        readers = self.readers.reshape(-1, count)[rows]
        # Where several have read, whoever writes, one of them is somebody else.
        race = seen.unordered | (seen.no_barrier & (readers == MORE))
        race |= seen.same_warp & seen.nothing & (readers == ONE_WARP)
        first = self.first_block.reshape(-1, count)[rows]
        race |= self.more_blocks.reshape(-1, count)[rows]
        race |= (first != NOBODY) & (first != wave.launch_block[lanes, None])
        if race.any():
            self._fault(wave, lanes, rows, self.reader, race, "writes what it read")
        self.writer.note(wave, lanes, rows, count)
        twice = _Seen(self.writer, wave, lanes, rows, count).other
        if twice.any():
            self._fault(wave, lanes, rows, self.writer, twice, "writes in the same instruction")

    def _fault(
        self, wave: Wave, lanes: NDArray, rows: NDArray, other: _Last, race: NDArray, how: str
    ) -> None:
        lane, grain = np.argwhere(race)[0]
        whom = int(other.thread.reshape(-1, race.shape[1])[rows[lane], grain])
        block, thread = divmod(whom, wave.threads)
        wave.fault(
            f"race in {self.space} memory with thread {thread} of block {block}: {how} "
            "without a barrier between",
            lanes,
            race.any(1),
        )
