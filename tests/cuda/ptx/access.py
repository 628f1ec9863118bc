"""Loads, stores and atomics: ld, st, atom, red, and the fences between them.

Addresses are those of `wave.memories`; a generic address says its space by its window. Cache hints
(`.nc`, `.L1::no_allocate`, …) change nothing here. Atomics of the lanes of one instruction happen
in the order of the lanes: one legal order of many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.convert import GENERIC
from ptx.decode import Decoder, Lanes, Run, opcode
from ptx.numbers import TYPES
from ptx.parser import Instruction, split

if TYPE_CHECKING:
    from ptx.wave import Wave

SPACES = ("global", "shared", "local")
_HINTS = ("nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt")
_CACHES = ("L1::evict_normal", "L1::evict_first", "L1::evict_last", "L1::no_allocate",
           "L2::64B", "L2::128B", "L2::256B")  # fmt: skip


def size_of(instruction: Instruction) -> int:
    """Bytes of one lane's access."""
    item = TYPES[instruction.modifiers[-1]].itemsize
    vector = next((m for m in instruction.modifiers if m in ("v2", "v4")), "v1")
    return item * int(vector[1:])


@opcode("ld")
def _ld(d: Decoder) -> Run:
    kind = d.type()
    if d.take("param") is not None:
        return _ld_param(d, kind)
    space = _space(d)
    _hints(d)
    count = int((d.take("v2", "v4") or "v1")[1:])
    d.count(2)
    names = d.vector(0)
    if len(names) != count:
        raise d.instruction.unknown(f"{len(names)} registers")
    puts = [d.put(name, kind, widen=True) for name in names]
    where = _where(d, 1, space)
    dtype, size = TYPES[kind], TYPES[kind].itemsize * count

    def run(wave: Wave, lanes: Lanes) -> None:
        index = wave.numbers(lanes)
        memory, rows = wave.locate(*where(wave, index), index, size, "read")
        data = memory.read(wave, index, rows, size)
        wave.traffic(memory, index, rows, size, "ld")
        values = data.view(dtype)
        for column, put in enumerate(puts):
            put(wave, lanes, values[:, column])

    return run


def _ld_param(d: Decoder, kind: str) -> Run:
    """Parameters lie one after the other; `mov` gives an address among them."""
    count = int((d.take("v2", "v4") or "v1")[1:])
    names, dtype = d.vector(0), TYPES[kind]
    if len(names) != count:
        raise d.instruction.unknown(f"{len(names)} registers")
    puts = [d.put(name, kind, widen=True) for name in names]
    base, offset = d.address(1)
    if base not in d.kernel.registers and base not in d.kernel.params:
        raise d.instruction.unknown(f"unknown parameter {base}")
    get, size = d.get(base, "u64"), dtype.itemsize * count

    def run(wave: Wave, lanes: Lanes) -> None:
        start = np.unique(get(wave, lanes)) + np.uint64(offset & (1 << 64) - 1)
        if len(start) > 1:
            wave.fault("parameters read at several addresses at once", lanes)
        if start[0] + np.uint64(size) > len(wave.params):
            wave.fault("out-of-bounds read of the parameters", lanes)
        if start[0] % np.uint64(size):
            wave.fault(f"misaligned read of {size} bytes of the parameters", lanes)
        values = np.frombuffer(wave.params, dtype, count, int(start[0]))
        for put, value in zip(puts, values, strict=True):
            put(wave, lanes, np.asarray(value))

    return run


@opcode("st")
def _st(d: Decoder) -> Run:
    kind = d.type()
    space = _space(d)
    _hints(d)
    count = int((d.take("v2", "v4") or "v1")[1:])
    d.count(2)
    names = d.vector(1)
    if len(names) != count:
        raise d.instruction.unknown(f"{len(names)} registers")
    gets = [d.get(name, kind, narrow=True) for name in names]
    where = _where(d, 0, space)
    dtype, size = TYPES[kind], TYPES[kind].itemsize * count

    def run(wave: Wave, lanes: Lanes) -> None:
        index = wave.numbers(lanes)
        memory, rows = wave.locate(*where(wave, index), index, size, "write")
        values = np.empty((len(index), count), dtype)
        for column, get in enumerate(gets):
            values[:, column] = get(wave, lanes)
        memory.write(wave, index, rows, values.view(np.uint8))
        wave.traffic(memory, index, rows, size, "st")

    return run


@opcode("atom", "red")
def _atom(d: Decoder) -> Run:
    kind = d.type("u32", "s32", "u64", "b32", "f32")
    returns = d.opcode == "atom"
    d.take("relaxed", "acq_rel")
    d.take("gpu", "cta", "sys")
    space = _space(d)
    name = d.need("add", "min", "max", "exch", "cas", "or", "and")
    at = int(returns)
    gets = [d.get(i, kind) for i in range(at + 1, len(d.operands))]
    d.count(at + (3 if name == "cas" else 2))
    put = d.put(0, kind) if returns else None
    where = _where(d, at, space)
    dtype = TYPES[kind]

    def run(wave: Wave, lanes: Lanes) -> None:
        index = wave.numbers(lanes)
        memory, rows = wave.locate(*where(wave, index), index, dtype.itemsize, "atomic")
        operands = [np.broadcast_to(get(wave, lanes), len(index)) for get in gets]
        old = np.empty(len(index), dtype)
        memory.read(wave, index, rows, dtype.itemsize, atomic=True)
        held = memory.data.view(dtype)
        for lane, row in enumerate(rows):
            old[lane] = held[row]
            held[row] = _combined(name, held[row], *(each[lane] for each in operands))
        if put is not None:
            put(wave, lanes, old)

    return run


def _combined(name: str, old, value, second=None):
    if name == "cas":
        return second if old == value else old
    functions = {"add": np.add, "min": np.minimum, "max": np.maximum,
                 "or": np.bitwise_or, "and": np.bitwise_and}  # fmt: skip
    return value if name == "exch" else functions[name](old, value)


@opcode("membar", "fence")
def _fence(d: Decoder) -> Run:
    d.take("sc", "acq_rel")
    d.need("gl", "cta", "sys", "gpu")
    d.count(0)
    return lambda wave, lanes: None


def _space(d: Decoder) -> str | None:
    return d.take(*SPACES)


def _hints(d: Decoder) -> None:
    while d.take(*_HINTS) or d.take(*_CACHES):
        pass


def _where(d: Decoder, operand: int, space: str | None):
    """The function that gives (space or None, addresses) for lanes."""
    base, offset = d.address(operand)
    wide = base in d.kernel.registers and d.kernel.registers[base].itemsize == 8
    if base not in d.kernel.registers and base not in d.addresses:
        raise d.instruction.unknown(f"unknown address {base}")
    if space in (None, "global") and base in d.kernel.registers and not wide:
        raise d.instruction.unknown(f"address {base} of 32 bits")
    get = d.get(base, "u64" if wide or base in d.addresses else "u32")
    move = np.uint64(offset & (1 << 64) - 1)

    def where(wave: Wave, lanes: NDArray) -> tuple[str | None, NDArray]:
        address = np.broadcast_to(get(wave, lanes), len(lanes)).astype(np.uint64) + move
        return space, address

    return where


def window_of(address: NDArray) -> str:
    """The space of a generic address."""
    first = int(address.flat[0])
    return (
        "local"
        if first >= GENERIC["local"]
        else "shared"
        if first >= GENERIC["shared"]
        else ("global")
    )


__all__ = ["SPACES", "size_of", "split", "window_of"]
