"""Integer and floating-point arithmetic: add, sub, mul, mad, fma, div, rem, min, max, neg, abs.

Floating point rounds to nearest even; `.ftz` and `.sat` are refused. `min` and `max` return the
operand that is no NaN, except with `.NaN`, and take -0 for less than +0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.decode import Decoder, Lanes, Run, opcode
from ptx.numbers import TYPES, bf16_to_f32, f32_to_bf16, fma_f32

if TYPE_CHECKING:
    from ptx.wave import Wave

INTEGERS = ("u16", "u32", "u64", "s16", "s32", "s64")
FLOATS = ("f32", "f64")
_CANONICAL_NAN = np.array(0x7FFFFFFF, np.uint32).view(np.float32)

Function = Callable[..., NDArray]


def elementwise(d: Decoder, function: Function, kinds: list[str], result: str) -> Run:
    """The instruction that puts `function` of its sources."""
    d.count(len(kinds) + 1)
    gets = [d.get(i, kind) for i, kind in enumerate(kinds, 1)]
    put = d.put(0, result)

    def run(wave: Wave, lanes: Lanes) -> None:
        put(wave, lanes, function(*(get(wave, lanes) for get in gets)))

    return run


@opcode("add", "sub")
def _add(d: Decoder) -> Run:
    kind = d.type(*INTEGERS, *FLOATS)
    if kind in FLOATS:
        d.take("rn")
    return elementwise(d, np.add if d.opcode == "add" else np.subtract, [kind] * 2, kind)


@opcode("mul")
def _mul(d: Decoder) -> Run:
    kind = d.type(*INTEGERS, *FLOATS)
    if kind in FLOATS:
        d.take("rn")
        return elementwise(d, np.multiply, [kind] * 2, kind)
    function, result = _product(kind, d.need("lo", "hi", "wide"))
    return elementwise(d, function, [kind] * 2, result)


@opcode("mad")
def _mad(d: Decoder) -> Run:
    kind = d.type(*INTEGERS)
    product, result = _product(kind, d.need("lo", "hi", "wide"))
    return elementwise(d, lambda a, b, c: product(a, b) + c, [kind, kind, result], result)


def _product(kind: str, part: str) -> tuple[Function, str]:
    """The function, and the type of its result."""
    bits = 8 * TYPES[kind].itemsize
    if part == "lo":
        return np.multiply, kind
    if part == "wide":
        if bits == 64:
            raise ValueError(f"mul.wide.{kind} does not exist")
        result = f"{kind[0]}{2 * bits}"
        wide = TYPES[result]
        return lambda a, b: a.astype(wide) * b.astype(wide), result
    if bits == 64:
        return _high64, kind
    wide = TYPES[f"{kind[0]}64"]
    return lambda a, b: ((a.astype(wide) * b.astype(wide)) >> wide.type(bits)).astype(a.dtype), kind


def _high64(a: NDArray, b: NDArray) -> NDArray:
    """The upper half of 64 x 64 bits, through Python's integers."""
    high = (a.astype(object) * b.astype(object)) >> 64
    return np.asarray(high).astype(a.dtype)


@opcode("fma")
def _fma(d: Decoder) -> Run:
    d.need("rn")
    kind = d.type("f32")
    return elementwise(d, fma_f32, [kind] * 3, kind)


@opcode("div")
def _div(d: Decoder) -> Run:
    kind = d.type(*INTEGERS, *FLOATS)
    if kind in FLOATS:
        d.need("rn")
        return elementwise(d, np.divide, [kind] * 2, kind)
    return _integer_division(d, kind, _quotient)


@opcode("rem")
def _rem(d: Decoder) -> Run:
    return _integer_division(d, d.type(*INTEGERS), np.fmod)


def _integer_division(d: Decoder, kind: str, function: Function) -> Run:
    d.count(3)
    first, second, put = d.get(1, kind), d.get(2, kind), d.put(0, kind)

    def run(wave: Wave, lanes: Lanes) -> None:
        a, b = first(wave, lanes), second(wave, lanes)
        if np.any(b == 0):
            wave.fault("integer division by zero", lanes, np.broadcast_to(b == 0, np.shape(a)))
        put(wave, lanes, function(a, b))

    return run


def _quotient(a: NDArray, b: NDArray) -> NDArray:
    """Rounded towards zero, as in C."""
    return (a - np.fmod(a, b)) // b


@opcode("min", "max")
def _min(d: Decoder) -> Run:
    kind = d.type(*INTEGERS, "f32", "f64", "bf16", "f16")
    least = d.opcode == "min"
    if kind in INTEGERS:
        return elementwise(d, np.minimum if least else np.maximum, [kind] * 2, kind)
    keeps_nan = d.take("NaN") is not None
    if kind == "bf16":

        def of_bf16(a: NDArray, b: NDArray) -> NDArray:
            return f32_to_bf16(_extreme(bf16_to_f32(a), bf16_to_f32(b), least, keeps_nan))

        return elementwise(d, of_bf16, [kind] * 2, kind)
    return elementwise(d, lambda a, b: _extreme(a, b, least, keeps_nan), [kind] * 2, kind)


def _extreme(a: NDArray, b: NDArray, least: bool, keeps_nan: bool) -> NDArray:
    function = (np.minimum, np.maximum)[not least] if keeps_nan else (np.fmin, np.fmax)[not least]
    both_zero = (a == 0) & (b == 0)
    negative = np.signbit(a) | np.signbit(b) if least else np.signbit(a) & np.signbit(b)
    zero = np.where(negative, a.dtype.type(-0.0), a.dtype.type(0.0))
    result = np.where(both_zero, zero, function(a, b))
    return np.where(np.isnan(result), _nan(result.dtype), result)


def _nan(dtype: np.dtype) -> NDArray:
    return _CANONICAL_NAN if dtype == np.float32 else np.array(np.nan, dtype)


@opcode("neg")
def _neg(d: Decoder) -> Run:
    kind = d.type("s16", "s32", "s64", *FLOATS, "bf16")
    if kind == "bf16":
        return elementwise(d, lambda a: a ^ np.uint16(0x8000), [kind], kind)
    return elementwise(d, np.negative, [kind], kind)


@opcode("abs")
def _abs(d: Decoder) -> Run:
    kind = d.type("s16", "s32", "s64", *FLOATS)
    return elementwise(d, np.abs, [kind], kind)
