"""cp.async: bytes on their way from global to shared memory, which land when their thread waits.

Groups belong to a thread. Landing at the wait and no earlier is the latest that the hardware may
do, so a kernel that forgets to wait reads what it must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.access import _where
from ptx.decode import Decoder, Lanes, Run, opcode
from ptx.memory import Memory
from ptx.parser import Instruction

if TYPE_CHECKING:
    from ptx.wave import Wave


@dataclass
class Copy:
    """One instruction's copies: lanes, their group, where to and what."""

    memory: Memory
    lanes: NDArray
    groups: NDArray
    rows: NDArray
    data: NDArray[np.uint8]


def size_of(instruction: Instruction) -> int:
    """Bytes of one lane's copy; 16 for the instructions that copy nothing."""
    return int(instruction.operands[2]) if len(instruction.operands) > 2 else 16


@opcode("cp")
def _cp(d: Decoder) -> Run:
    d.need("async")
    if d.take("commit_group"):
        d.count(0)
        return _commit
    if d.take("wait_all"):
        d.count(0)
        return lambda wave, lanes: _wait(wave, lanes, None)
    if d.take("wait_group"):
        d.count(1)
        keep = d.number(0)
        return lambda wave, lanes: _wait(wave, lanes, keep)
    return _copy(d)


def _copy(d: Decoder) -> Run:
    cached = d.need("ca", "cg")
    d.need("shared")
    d.need("global")
    d.take("L2::64B", "L2::128B", "L2::256B")
    d.count(3, 4)
    size = d.number(2)
    if size not in ((16,) if cached == "cg" else (4, 8, 16)):
        raise d.instruction.unknown(f"{size} bytes")
    used = d.get(3, "u32") if len(d.operands) == 4 else None
    to, source = _where(d, 0, "shared"), _where(d, 1, "global")

    def run(wave: Wave, lanes: Lanes) -> None:
        index = wave.numbers(lanes)
        length = np.full(len(index), size, np.uint32)
        if used is not None:
            length = np.broadcast_to(used(wave, lanes), len(index)).copy()
        if (length > size).any():
            wave.fault(f"cp.async of more than {size} bytes", index, length > size)
        data = np.zeros((len(index), size), np.uint8)
        # Lanes that copy nothing read nothing: their address may be anything aligned.
        for count in np.unique(length[length > 0]):
            some = np.flatnonzero(length == count)
            space, address = source(wave, index[some])
            if address.size and (address % np.uint64(size)).any():
                bad = address % np.uint64(size) != 0
                wave.fault("misaligned read of cp.async, global memory", index[some], bad)
            whole = int(count) in (4, 8, 16)
            step = int(count) if whole else 1
            for start in range(0, int(count), step):
                memory, rows = wave.locate(
                    space, address + np.uint64(start), index[some], step, "read"
                )
                data[some, start : start + step] = memory.read(wave, index[some], rows, step)
                wave.traffic(memory, index[some], rows, step, "ld")
        memory, rows = wave.locate(*to(wave, index), index, size, "write")
        memory.begin_copy(wave, index, rows, size)
        wave.copies.append(Copy(memory, index, wave.groups[index], rows, data))

    return run


def _commit(wave: Wave, lanes: Lanes) -> None:
    wave.groups[lanes] += 1


def _wait(wave: Wave, lanes: Lanes, keep: int | None) -> None:
    """Land the groups of these lanes, but for the last `keep` committed ones; None: everything."""
    waits = np.zeros(wave.size, bool)
    waits[lanes] = True
    left = []
    for copy in wave.copies:
        lands = waits[copy.lanes]
        if keep is not None:
            lands &= copy.groups < wave.groups[copy.lanes] - keep
        if lands.any():
            copy.memory.end_copy(wave, copy.lanes[lands], copy.rows[lands], copy.data[lands])
        if not lands.all():
            stay = ~lands
            left.append(
                Copy(copy.memory, copy.lanes[stay], copy.groups[stay], copy.rows[stay],
                     copy.data[stay])
            )  # fmt: skip
    wave.copies = left
