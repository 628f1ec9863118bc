"""A device: global memory, and launches.

Allocations keep a distance of 256 bytes, so that an access beyond one hits nothing, and lie at an
odd multiple of the alignment that is asked for, so that code that takes more is seen.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ptx.errors import Fault
from ptx.memory import Memory
from ptx.parser import Kernel
from ptx.program import Program
from ptx.wave import GLOBAL, Counts, Wave

GAP = 256
MOST_THREADS = 1024
MOST_BLOCKS = (2**31 - 1, 65535, 65535)
LANES = 8192  # of a wave: enough to make numpy worth it


class Device:
    """Memory and launches.

    Args:
        size: bytes of global memory.
        shared: bytes of shared memory that a block may have.
    """

    def __init__(self, size: int = 8 << 20, shared: int = 48 << 10) -> None:
        self.memory = Memory("global", size, None)
        self.shared = shared
        self.top = GAP
        self.programs: dict[int, tuple[Kernel, Program]] = {}

    def allocate(self, size: int, align: int = 16) -> int:
        """The address of new, uninitialised bytes."""
        start = -(-self.top // (2 * align)) * 2 * align + align
        if start + size + GAP > len(self.memory.data):
            raise MemoryError(f"{size} bytes more than the emulated device has")
        self.top = start + size + GAP
        self.memory.valid[start : start + size] = True
        return GLOBAL + start

    def upload(self, array: NDArray) -> int:
        """The address of a copy of `array`, aligned to its elements as a view in torch may be."""
        address = self.allocate(array.nbytes, array.itemsize)
        place = slice(address - GLOBAL, address - GLOBAL + array.nbytes)
        self.memory.data[place] = np.frombuffer(array.tobytes(), np.uint8)
        self.memory.written[place] = True
        return address

    def forbid(self, address: int, where: NDArray[np.bool_]) -> None:
        """Make some bytes of an allocation bytes that nobody may touch, as the gaps of a view."""
        self.memory.valid[address - GLOBAL : address - GLOBAL + len(where)] &= ~where

    def download(self, address: int, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray:
        """What a kernel wrote.

        Raises:
            Fault: it left some of it unwritten.
        """
        size = np.dtype(dtype).itemsize * int(np.prod(shape))
        place = slice(address - GLOBAL, address - GLOBAL + size)
        written = self.memory.written[place]
        if not written.all():
            raise Fault(f"{int((~written).sum())} of {size} bytes of an output were not written")
        return np.frombuffer(self.memory.data[place].tobytes(), dtype).reshape(shape)

    def launch(
        self, kernel: Kernel, grid: tuple[int, ...], block: tuple[int, ...], params: bytes,
        shared: int = 0, seed: int = 0, lanes: int = LANES,
    ) -> Counts:  # fmt: skip
        """Run a kernel.

        Args:
            kernel: of `parse`.
            grid: blocks, in up to three dimensions.
            block: threads of a block.
            params: the bytes of its parameters, as `pack` makes them.
            shared: bytes of dynamic shared memory.
            seed: of the order of the blocks; 0: as they are numbered.
            lanes: threads that run together, at most, where a block is not larger.

        Raises:
            Fault: the kernel, or the launch, did what it must not do.
        """
        grid, block = (*grid, 1, 1)[:3], (*block, 1, 1)[:3]
        threads, blocks = int(np.prod(block)), int(np.prod(grid))
        most = min(MOST_THREADS, kernel.max_threads or MOST_THREADS)
        if not 0 < threads <= most or not all(
            0 < n <= limit for n, limit in zip(grid, MOST_BLOCKS, strict=True)
        ):
            raise Fault(f"{kernel.name}: cannot launch {grid} blocks of {block} threads")
        if shared > self.shared:
            raise Fault(f"{kernel.name}: {shared} bytes of shared memory, at most {self.shared}")
        if len(params) != kernel.params_size:
            raise Fault(f"{kernel.name}: {len(params)} bytes of params, not {kernel.params_size}")
        program = self._program(kernel)
        self.memory.start_launch(program.global_grain, self.top)
        order = np.arange(blocks)
        if seed:
            np.random.default_rng(seed).shuffle(order)
        counts, together = Counts(), max(1, lanes // threads)
        for start in range(0, blocks, together):
            numbers = order[start : start + together]
            Wave(self, program, grid, block, shared, params, numbers, counts).run()
        return counts

    def _program(self, kernel: Kernel) -> Program:
        if id(kernel) not in self.programs:
            self.programs[id(kernel)] = kernel, Program(kernel)
        return self.programs[id(kernel)][1]


def pack(kernel: Kernel, *values: int | float | bytes) -> bytes:
    """The bytes of the parameters: of ints, float32 or bytes as they are."""
    packed = bytearray(kernel.params_size)
    for value, (offset, size) in zip(values, kernel.params.values(), strict=True):
        if isinstance(value, float):
            value = struct.pack("<f", value)
        elif isinstance(value, int):
            value = value.to_bytes(size, "little", signed=value < 0)
        if len(value) != size:
            raise ValueError(f"{kernel.name}: a parameter of {size} bytes, got {len(value)}")
        packed[offset : offset + size] = value
    return bytes(packed)
