"""From an instruction as written to a function that runs it; strict, so that nothing is guessed.

A file of instructions registers its decoders with `@opcode("add", "sub")`. A decoder takes the
`Decoder` of one instruction, takes every modifier off it that it knows, and returns the function
that runs it on some lanes. Modifiers that are left over raise: so does an opcode without a decoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptx.numbers import TYPES, UNSIGNED, bits_of
from ptx.parser import Instruction, Kernel, split

if TYPE_CHECKING:
    from ptx.wave import Wave

Lanes = Any  # what indexes a register: slice(None) for all lanes of the wave, or their numbers
Run = Callable[["Wave", Lanes], None]
Get = Callable[["Wave", Lanes], NDArray]
Put = Callable[["Wave", Lanes, NDArray], None]

DECODERS: dict[str, Callable[[Decoder], Run]] = {}
SPECIAL = re.compile(r"%(tid|ntid|ctaid|nctaid)\.[xyz]|%laneid|%warpid|%lanemask_(lt|le|gt|ge|eq)")
_ADDRESS = re.compile(r"\[\s*([%\w$]+)\s*(?:\+\s*(-?\d+))?\s*\]")


def opcode(*names: str) -> Callable[[Callable[[Decoder], Run]], Callable[[Decoder], Run]]:
    """Register a decoder."""

    def register(decoder: Callable[[Decoder], Run]) -> Callable[[Decoder], Run]:
        for name in names:
            DECODERS[name] = decoder
        return decoder

    return register


def decode(instruction: Instruction, kernel: Kernel, addresses: Mapping[str, int]) -> Run:
    """The function that runs an instruction.

    Raises:
        UnknownPtxError: its opcode, or one of its modifiers, is not known.
    """
    decoder = DECODERS.get(instruction.opcode)
    if decoder is None:
        raise instruction.unknown(f"unknown opcode {instruction.opcode}")
    reader = Decoder(instruction, kernel, addresses)
    run = decoder(reader)
    reader.finish()
    return run


class Decoder:
    """One instruction on its way: what is left of its modifiers, and its operands as functions."""

    def __init__(
        self, instruction: Instruction, kernel: Kernel, addresses: Mapping[str, int]
    ) -> None:
        self.instruction, self.kernel, self.addresses = instruction, kernel, addresses
        self.opcode = instruction.opcode
        self.left = list(instruction.modifiers)
        self.operands = instruction.operands

    def take(self, *known: str) -> str | None:
        """Take the next modifier if it is one of `known`."""
        return self.left.pop(0) if self.left and self.left[0] in known else None

    def need(self, *known: str) -> str:
        """Take the next modifier, which must be one of `known`."""
        taken = self.take(*known)
        if taken is None:
            what = self.left[0] if self.left else "nothing"
            raise self.instruction.unknown(f"expected .{' or .'.join(known)}, not {what},")
        return taken

    def type(self, *known: str) -> str:
        """Take the last modifier, the type."""
        if not self.left or self.left[-1] not in (known or TYPES):
            what = self.left[-1] if self.left else "nothing"
            raise self.instruction.unknown(f"unknown type {what} of {self.opcode}")
        return self.left.pop()

    def finish(self) -> None:
        if self.left:
            raise self.instruction.unknown(f"unknown modifier .{self.left[0]}")

    def count(self, *expected: int) -> None:
        if len(self.operands) not in expected:
            raise self.instruction.unknown(f"{len(self.operands)} operands")

    # Operands.

    def get(self, operand: int | str, kind: str, narrow: bool = False) -> Get:
        """Read a source operand as `kind`; `narrow` allows a wider register, as `st` does."""
        text = self.operands[operand] if isinstance(operand, int) else operand
        dtype = TYPES[kind]
        if text.startswith("!") and kind == "pred":
            inner = self.get(text[1:], kind)
            return lambda wave, lanes: ~inner(wave, lanes)
        if text in self.kernel.registers:
            return self._register(text, dtype, narrow)
        if SPECIAL.fullmatch(text):
            if dtype.itemsize != 4:
                raise self.instruction.unknown(f"{text} read as {kind}")
            return lambda wave, lanes: wave.special[text][lanes].view(dtype)
        constant = self._constant(text, dtype)
        return lambda wave, lanes: constant

    def _register(self, name: str, dtype: np.dtype, narrow: bool) -> Get:
        held = self.kernel.registers[name]
        if held.itemsize == dtype.itemsize and (held.kind == "b") == (dtype.kind == "b"):
            return lambda wave, lanes: wave.read(name, lanes).view(dtype)
        if not narrow or held.itemsize < dtype.itemsize or held.kind == "b":
            raise self.instruction.unknown(f"{name} does not hold {dtype}")
        bits = UNSIGNED[dtype.itemsize]
        return lambda wave, lanes: wave.read(name, lanes).astype(bits).view(dtype)

    def _constant(self, text: str, dtype: np.dtype) -> NDArray:
        bits = UNSIGNED[dtype.itemsize]
        if match := re.fullmatch(r"0[fF]([0-9a-fA-F]{8})", text):
            value, size = int(match[1], 16), 4
        elif match := re.fullmatch(r"0[dD]([0-9a-fA-F]{16})", text):
            value, size = int(match[1], 16), 8
        elif text == "WARP_SZ":
            value, size = 32, dtype.itemsize
        elif text in self.addresses:
            value, size = self.addresses[text], dtype.itemsize
        elif re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)U?", text):
            value, size = int(text.removesuffix("U"), 0), dtype.itemsize
            if dtype.kind == "f":
                raise self.instruction.unknown(f"integer {text} as {dtype}")
        else:
            raise self.instruction.unknown(f"unknown operand {text}")
        if size != dtype.itemsize:
            raise self.instruction.unknown(f"constant {text} as {dtype}")
        if dtype.kind == "b":
            return np.array(bool(value))
        return np.array(value & (1 << 8 * size) - 1, bits).view(dtype)

    def put(self, operand: int | str, kind: str, widen: bool = False) -> Put:
        """Write a destination operand from values of `kind`; `widen` allows a wider register."""
        name = self.operands[operand] if isinstance(operand, int) else operand
        if name == "_":
            return lambda wave, lanes, values: None
        if name not in self.kernel.registers:
            raise self.instruction.unknown(f"{name} is no register")
        held, dtype = self.kernel.registers[name], TYPES[kind]
        if held.kind == "b" or dtype.kind == "b":
            if held.kind != dtype.kind:
                raise self.instruction.unknown(f"{name} does not hold {kind}")
            return lambda wave, lanes, values: wave.write(name, lanes, values)
        if held.itemsize == dtype.itemsize:
            return lambda wave, lanes, values: wave.write(name, lanes, _checked(values, dtype))
        if not widen or held.itemsize < dtype.itemsize:
            raise self.instruction.unknown(f"{name} does not hold {kind}")
        wide = np.dtype(f"i{held.itemsize}") if dtype.kind == "i" else held

        def extend(wave: Wave, lanes: Lanes, values: NDArray) -> None:
            values = _checked(values, dtype)
            values = values.view(dtype) if dtype.kind == "i" else values
            wave.write(name, lanes, bits_of(values.astype(wide)))

        return extend

    def vector(self, operand: int) -> tuple[str, ...]:
        """The parts of `{a, b}`, or the operand itself."""
        text = self.operands[operand]
        return split(text[1:-1]) if text.startswith("{") else (text,)

    def address(self, operand: int) -> tuple[str, int]:
        """Base and offset of `[base + offset]`."""
        match = _ADDRESS.fullmatch(self.operands[operand])
        if not match:
            raise self.instruction.unknown(f"unknown address {self.operands[operand]}")
        return match[1], int(match[2] or 0)

    def number(self, operand: int) -> int:
        """An operand that must be a constant."""
        try:
            return int(self.operands[operand], 0)
        except ValueError:
            raise self.instruction.unknown(
                f"expected a constant, {self.operands[operand]}"
            ) from None


def _checked(values: NDArray, dtype: np.dtype) -> NDArray:
    """The bits of values that an instruction computed; their width is the type's."""
    values = np.asarray(values)
    assert values.dtype.itemsize == dtype.itemsize, (values.dtype, dtype)
    return bits_of(values)
