"""Some blocks of a launch, run together: a lane of numpy arrays for each thread.

Of the threads that can go on, those furthest behind in the text run, so that branches come together
again. Threads stop at a barrier until their block is there, and at a warp operation until the lanes
that its mask names are there; when nobody can go on, whoever waits waits in vain, which is a fault.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from ptx.access import window_of
from ptx.async_copy import Copy
from ptx.convert import GENERIC
from ptx.decode import Lanes
from ptx.errors import Fault
from ptx.memory import Memory
from ptx.program import Program, Step
from ptx.warp import WARP, mask_operand

if TYPE_CHECKING:
    from ptx.device import Device

ALL = slice(None)
SECTOR = 32  # bytes: what the memory system moves
GLOBAL = 0x7F12_0000_0000  # of global memory: addresses that do not fit into 32 bits


@dataclass
class Counts:
    """What a launch did.

    Attributes:
        lanes: instruction with its modifiers → lanes that executed it.
        sectors: "ld" or "st" → 32-byte sectors that warps asked of global memory: the traffic if
            no cache helped.
    """

    lanes: Counter[str] = field(default_factory=Counter)
    sectors: Counter[str] = field(default_factory=Counter)


class Wave:
    """Blocks `numbers` of a launch."""

    def __init__(
        self, device: Device, program: Program, grid: tuple[int, int, int],
        block: tuple[int, int, int], shared: int, params: bytes, numbers: NDArray, counts: Counts,
    ) -> None:  # fmt: skip
        self.program, self.params, self.counts = program, params, counts
        self.threads = int(np.prod(block))
        self.size = len(numbers) * self.threads
        within = np.tile(np.arange(self.threads), len(numbers))
        self.block = np.repeat(np.arange(len(numbers)), self.threads)  # in this wave
        self.launch_block = np.repeat(numbers, self.threads).astype(np.int32)
        self.thread = (self.launch_block * self.threads + within).astype(np.int32)
        self.lane, self.warp_in_block = within % WARP, within // WARP
        self.warp = self.block * -(-self.threads // WARP) + self.warp_in_block
        self.special = _special(within, self.launch_block, grid, block)

        self.registers = {n: np.zeros(self.size, d) for n, d in program.kernel.registers.items()}
        self.unwritten = {n: np.ones(self.size, bool) for n in program.kernel.registers}
        self.groups = np.zeros(self.size, np.int64)
        self.copies: list[Copy] = []
        self.barriers = np.zeros(self.size, np.int32)
        self.warp_barriers = np.zeros(self.size, np.int32)
        self.at = np.zeros(self.size, np.int64)  # block of the program
        self.waiting = np.zeros(self.size, bool)  # at a barrier
        self.ended = np.zeros(self.size, bool)
        self.step: Step | None = None
        self._memories(device, len(numbers), shared)

    def _memories(self, device: Device, blocks: int, shared: int) -> None:
        program = self.program
        self.shared_size = -(-(program.shared_end + shared + 64) // 64) * 64
        self.local_size = -(-(program.local_size + 16) // 16) * 16
        self.memories = {
            "global": device.memory,
            "shared": Memory("shared", blocks * self.shared_size, program.shared_grain),
            "local": Memory("local", self.size * self.local_size, None),
        }
        stretches = self.memories["shared"].valid.reshape(blocks, self.shared_size)
        for each in program.shared:
            start = program.addresses[each.name]
            stretches[:, start : start + (each.size or shared)] = True
        own = self.memories["local"].valid.reshape(self.size, self.local_size)
        own[:, : program.local_size] = True

    # Registers.

    def read(self, name: str, lanes: Lanes) -> NDArray:
        missing = self.unwritten.get(name)
        if missing is not None and missing[lanes].any():
            self.fault(f"register {name} is read before it is written", lanes, missing[lanes])
        return self.registers[name][lanes]

    def write(self, name: str, lanes: Lanes, values: NDArray) -> None:
        self.registers[name][lanes] = values
        missing = self.unwritten.get(name)
        if missing is None:
            return
        if isinstance(lanes, slice):
            del self.unwritten[name]
        else:
            missing[lanes] = False

    def numbers(self, lanes: Lanes) -> NDArray:
        """Lanes as numbers."""
        return np.arange(self.size)[lanes] if isinstance(lanes, slice) else lanes

    # Memory.

    def locate(
        self, space: str | None, address: NDArray, lanes: NDArray, size: int, what: str
    ) -> tuple[Memory, NDArray]:
        """The memory and the rows of an access; a generic address says its space."""
        if space is None:
            space = window_of(address)
            address = address - np.uint64(GENERIC[space])
        memory = self.memories[space]
        if space == "global":
            address, base, limit = address - np.uint64(GLOBAL), 0, len(memory.data)
        elif space == "shared":
            base, limit = self.block[lanes] * self.shared_size, self.shared_size
        else:
            base, limit = lanes * self.local_size, self.local_size
        return memory, memory.rows(self, lanes, address, base, limit, size, what)

    def traffic(self, memory: Memory, lanes: NDArray, rows: NDArray, size: int, what: str) -> None:
        if memory.space == "global":
            sector = rows * size // SECTOR
            asked = np.unique(self.warp[lanes] * (len(memory.data) // SECTOR + 1) + sector)
            self.counts.sectors[what] += len(asked)

    # Faults.

    def fault(self, what: str, lanes: Lanes = None, where: NDArray | None = None) -> NoReturn:
        place = ""
        if lanes is not None:
            index = self.numbers(lanes)
            lane = index[np.argmax(where)] if where is not None else index[0]
            thread, block = self.thread[lane] % self.threads, self.launch_block[lane]
            place = f" by thread {thread} of block {block}"
        at = ""
        if self.step is not None:
            at = f", line {self.step.instruction.line}: `{self.step.instruction.text}`"
        raise Fault(f"{self.program.kernel.name}: {what}{place}{at}")

    # The schedule.

    def run(self) -> None:
        """Until every thread has ended.

        Raises:
            Fault: the kernel did what it must not do.
        """
        with np.errstate(all="ignore"):
            while not self.ended.all():
                ready = ~(self.waiting | self.ended)
                if not any(self._advance(int(at), ready) for at in self._next(ready)):
                    self._release(ready)
        self.step = None
        if self.copies:
            self.fault("cp.async that nobody waited for", self.copies[0].lanes)

    def _next(self, ready: NDArray):
        """Where ready threads are, first in the text first."""
        while True:
            places = self.at[ready]
            if not len(places):
                return
            first = places.min()
            yield first
            ready = ready & (self.at != first)

    def _advance(self, at: int, ready: NDArray) -> bool:
        """Run the threads at this block of the program; False where none can."""
        lanes = np.flatnonzero(ready & (self.at == at))
        if at == len(self.program.blocks):
            self.ended[lanes] = True
            return True
        block = self.program.blocks[at]
        if block.together:
            lanes = self._together(block.steps[0], lanes)
            if not len(lanes):
                return False
        self.at[lanes] = at + 1
        for step in block.steps:
            self.step = step
            self._run(step, lanes, at)
        return True

    def _run(self, step: Step, lanes: NDArray, at: int) -> None:
        guard = step.instruction.guard
        if guard is not None:
            lanes = lanes[self.read(guard[0], lanes) ^ guard[1]]
        if not len(lanes):
            return
        self.counts.lanes[step.name] += len(lanes)
        if step.run is not None:
            step.run(self, ALL if len(lanes) == self.size else lanes)
        elif step.target >= 0:
            self.at[lanes] = step.target
        elif step.instruction.opcode in ("ret", "exit"):
            self.ended[lanes] = True
        else:
            self.waiting[lanes] = True
            self.at[lanes] = at + 1

    def _together(self, step: Step, lanes: NDArray) -> NDArray:
        """Of the lanes at a warp operation those whose partners have all come."""
        self.step = step
        operand = mask_operand(step.instruction.opcode)
        if step.instruction.guard is not None:
            self.fault("warp operation under a condition", lanes)
        mask = np.full(len(lanes), 0xFFFFFFFF, np.uint32)
        if operand is not None:
            text = step.instruction.operands[operand]
            mask[:] = (
                self.read(text, lanes) if text in self.registers else int(text, 0) & 0xFFFFFFFF
            )
        bit = np.uint32(1) << self.lane[lanes].astype(np.uint32)
        if ((mask & bit) == 0).any():
            self.fault("warp operation by a lane that its mask leaves out", lanes, mask & bit == 0)
        present = np.zeros(int(self.warp[-1]) + 1, np.uint32)
        np.bitwise_or.at(present, self.warp[lanes], bit)
        return lanes[(present[self.warp[lanes]] & mask) == mask]

    def _release(self, ready: NDArray) -> None:
        """Nobody can go on: open the barriers, or say who waits in vain."""
        if ready.any():
            lanes = np.flatnonzero(ready)
            self.step = self.program.blocks[int(self.at[lanes[0]])].steps[0]
            self.fault("warp operation that not every lane of its mask reaches", lanes)
        for block in np.unique(self.block[self.waiting]):
            mine = self.block == block
            if self.ended[mine].any():
                self.fault(
                    f"barrier that {int(self.ended[mine].sum())} threads of the block never reach",
                    np.flatnonzero(mine & self.waiting),
                )
            if len(np.unique(self.at[mine])) > 1:
                self.fault("threads of a block wait at different barriers", np.flatnonzero(mine))
        self.barriers[self.waiting] += 1
        self.waiting[:] = False


def _special(
    within: NDArray, numbers: NDArray, grid: tuple[int, int, int], block: tuple[int, int, int]
) -> dict[str, NDArray]:
    """The read-only registers."""
    found = {"%laneid": within % WARP, "%warpid": within // WARP}
    for name, number, sizes in (("tid", within, block), ("ctaid", numbers, grid)):
        found[f"%{name}.x"] = number % sizes[0]
        found[f"%{name}.y"] = number // sizes[0] % sizes[1]
        found[f"%{name}.z"] = number // (sizes[0] * sizes[1])
    for name, sizes in (("ntid", block), ("nctaid", grid)):
        for axis, size in zip("xyz", sizes, strict=True):
            found[f"%{name}.{axis}"] = np.full(len(within), size)
    return {name: values.astype(np.uint32) for name, values in found.items()}
