"""Bits: not, and, or, xor, lop3, bfi, bfe, shl, shr, shf, prmt, popc, clz, brev."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.arithmetic import INTEGERS, elementwise
from ptx.decode import Decoder, Lanes, Run, opcode
from ptx.numbers import TYPES

if TYPE_CHECKING:
    from ptx.wave import Wave


@opcode("not")
def _not(d: Decoder) -> Run:
    kind = d.type("pred", "b16", "b32", "b64")
    return elementwise(d, np.invert, [kind], kind)


@opcode("and", "or", "xor")
def _logic(d: Decoder) -> Run:
    kind = d.type("pred", "b16", "b32", "b64")
    function = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[d.opcode]
    return elementwise(d, function, [kind] * 2, kind)


@opcode("shl", "shr")
def _shift(d: Decoder) -> Run:
    left = d.opcode == "shl"
    kind = d.type("b16", "b32", "b64") if left else d.type(*INTEGERS, "b16", "b32", "b64")
    bits, dtype = 8 * TYPES[kind].itemsize, TYPES[kind]

    def function(a: NDArray, count: NDArray) -> NDArray:
        """Counts beyond the width give what is left after shifting everything out."""
        by = np.minimum(count, bits - 1).astype(dtype)
        if not left and dtype.kind == "i":
            return a >> by
        moved = a << by if left else a >> by
        return np.where(count >= bits, dtype.type(0), moved)

    return elementwise(d, function, [kind, "u32"], kind)


@opcode("shf")
def _funnel(d: Decoder) -> Run:
    """Shift the 64 bits of (low, high), and keep the high half for `.l`, the low half for `.r`."""
    left, wraps = d.need("l", "r") == "l", d.need("wrap", "clamp") == "wrap"
    kind = d.type("b32")

    def function(low: NDArray, high: NDArray, count: NDArray) -> NDArray:
        by = (count & 31 if wraps else np.minimum(count, 32)).astype(np.uint64)
        both = high.astype(np.uint64) << np.uint64(32) | low
        moved = (both << by) >> np.uint64(32) if left else both >> by
        return (moved & np.uint64(0xFFFFFFFF)).astype(np.uint32)

    return elementwise(d, function, [kind, kind, "u32"], kind)


@opcode("bfe")
def _extract(d: Decoder) -> Run:
    kind = d.type("u32")

    def function(a: NDArray, start: NDArray, length: NDArray) -> NDArray:
        start, length = start & np.uint32(255), np.minimum(length & np.uint32(255), 32)
        mask = (np.uint64(1) << length.astype(np.uint64)) - np.uint64(1)
        return (a.astype(np.uint64) >> start.astype(np.uint64).clip(0, 63) & mask).astype(np.uint32)

    return elementwise(d, function, [kind, "u32", "u32"], kind)


@opcode("bfi")
def _insert(d: Decoder) -> Run:
    """The low `length` bits of a, put into b from bit `start` on."""
    kind = d.type("b32")

    def function(a: NDArray, b: NDArray, start: NDArray, length: NDArray) -> NDArray:
        start = (start & np.uint32(255)).astype(np.uint64)
        length = np.minimum(length & np.uint32(255), 32).astype(np.uint64)
        mask = (np.uint64(1) << length) - np.uint64(1) << np.minimum(start, np.uint64(32))
        moved = a.astype(np.uint64) << np.minimum(start, np.uint64(32))
        return (b & ~mask | moved & mask).astype(np.uint32)

    return elementwise(d, function, [kind, kind, "u32", "u32"], kind)


@opcode("lop3")
def _lop3(d: Decoder) -> Run:
    """Any logic of three inputs: bit i of the table is its value for a, b, c = bits of i."""
    kind = d.type("b32")
    d.count(5)
    table = d.number(4)
    gets, put = [d.get(i, kind) for i in (1, 2, 3)], d.put(0, kind)

    def run(wave: Wave, lanes: Lanes) -> None:
        values = [get(wave, lanes) for get in gets]
        result = np.zeros_like(np.broadcast_arrays(*values)[0])
        for row in range(8):
            if table >> row & 1:
                term = np.uint32(0xFFFFFFFF)
                for bit, value in zip((4, 2, 1), values, strict=True):
                    term = term & (value if row & bit else ~value)
                result |= term
        put(wave, lanes, result)

    return run


@opcode("prmt")
def _permute(d: Decoder) -> Run:
    """Four bytes of the eight in (a, b), chosen by the low 3 bits of each nibble."""
    kind = d.type("b32")

    def function(a: NDArray, b: NDArray, selector: NDArray) -> NDArray:
        both = b.astype(np.uint64) << np.uint64(32) | a
        result = np.zeros(np.broadcast(a, b, selector).shape, np.uint32)
        for byte in range(4):
            nibble = (selector >> np.uint32(4 * byte)) & np.uint32(15)
            value = both >> (8 * (nibble & np.uint32(7))).astype(np.uint64) & np.uint64(255)
            sign = np.where(value & np.uint64(128), np.uint64(255), np.uint64(0))
            value = np.where(nibble & np.uint32(8), sign, value)
            result |= value.astype(np.uint32) << np.uint32(8 * byte)
        return result

    return elementwise(d, function, [kind, kind, "b32"], kind)


@opcode("popc", "clz", "brev")
def _count_bits(d: Decoder) -> Run:
    kind = d.type("b32")

    def function(a: NDArray) -> NDArray:
        bits = np.unpackbits(np.atleast_1d(a).astype(">u4").view(np.uint8)).reshape(-1, 32)
        if d.opcode == "popc":
            return bits.sum(1).astype(np.uint32)
        if d.opcode == "clz":
            return np.where(bits.any(1), bits.argmax(1), 32).astype(np.uint32)
        return np.packbits(bits[:, ::-1]).view(">u4").astype(np.uint32)

    return elementwise(d, function, [kind], kind)
