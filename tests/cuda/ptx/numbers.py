"""PTX types as numpy types, and the arithmetic that numpy lacks: bfloat16, TF32, one rounding.

Registers hold bits (unsigned integers, bool for predicates); an instruction's type says how they
are read. bfloat16, TF32 and packed pairs have no numpy type and stay bits here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.unsignedinteger]

TYPES: dict[str, np.dtype] = {
    **{f"{kind}{8 * size}": np.dtype(f"{code}{size}")
       for size in (1, 2, 4, 8) for kind, code in (("u", "u"), ("b", "u"), ("s", "i"))},
    "f16": np.dtype("f2"), "f32": np.dtype("f4"), "f64": np.dtype("f8"),
    "bf16": np.dtype("u2"), "tf32": np.dtype("u4"),
    "f16x2": np.dtype("u4"), "bf16x2": np.dtype("u4"),
    "pred": np.dtype("?"),
}  # fmt: skip
UNSIGNED = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}
_TIE_BELOW_F32 = np.uint64(1 << 28)  # float64 bits half way between two float32
_BELOW_F32 = np.uint64((1 << 29) - 1)


def bits_of(values: NDArray) -> Bits:
    """The same bytes as unsigned integers."""
    return values.view(UNSIGNED[values.dtype.itemsize])


def bf16_to_f32(bits: Bits) -> NDArray[np.float32]:
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def f32_to_bf16(values: NDArray[np.float32]) -> Bits:
    """Round to nearest, ties to even; any NaN becomes 0x7fff, as `cvt.rn.bf16.f32` gives it."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FFF), rounded)


def f32_to_tf32_away(bits: Bits) -> Bits:
    """`cvt.rna.tf32.f32`: 10 bits of mantissa, ties away from zero; the rest is cleared."""
    finite = (bits & np.uint32(0x7F800000)) != np.uint32(0x7F800000)
    rounded = (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    return np.where(finite, rounded, bits & np.uint32(0xFFFFE000) | _quiet(bits))


def f32_to_tf32_even(bits: Bits) -> Bits:
    """`cvt.rn.tf32.f32`: the same, ties to even."""
    finite = (bits & np.uint32(0x7F800000)) != np.uint32(0x7F800000)
    odd = (bits >> np.uint32(13)) & np.uint32(1)
    rounded = (bits + np.uint32(0xFFF) + odd) & np.uint32(0xFFFFE000)
    return np.where(finite, rounded, bits & np.uint32(0xFFFFE000) | _quiet(bits))


def tf32_to_f32(bits: Bits) -> NDArray[np.float32]:
    """What `mma` reads of a TF32 operand: the low 13 bits are ignored."""
    return (bits & np.uint32(0xFFFFE000)).view(np.float32)


def fma_f32(
    a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A * b + c with one rounding.

    The product is exact in float64; the sum is rounded twice, which matters only where its float64
    is half way between two float32, or the result subnormal. There the float64 is first rounded to
    odd, after which the second rounding is right (Boldo and Melquiond 2008).
    """
    product = np.asarray(a, np.float64) * b
    total = product + c
    result = total.astype(np.float32)
    doubtful = (total.view(np.uint64) & _BELOW_F32) == _TIE_BELOW_F32
    doubtful |= (np.abs(total) < 2.0**-125) & (total != 0)
    if doubtful.any():
        c64 = np.broadcast_to(np.asarray(c, np.float64), total.shape)
        result = np.where(doubtful, _to_odd(product, c64, total).astype(np.float32), result)
    return result


def _to_odd(a: NDArray, b: NDArray, total: NDArray) -> NDArray:
    """A + b in float64, rounded to odd; `total` is the sum rounded to nearest."""
    part = total - a
    error = (a - (total - part)) + (b - part)  # Knuth's two-sum: exact
    bits = total.view(np.int64)
    away = np.where((error > 0) == (total > 0), 1, -1)
    move = (error != 0) & ((bits & 1) == 0) & np.isfinite(total)
    return np.where(move, bits + away, bits).view(np.float64)


def _quiet(bits: Bits) -> Bits:
    """Keep a NaN a NaN when its low bits go."""
    return np.where((bits & np.uint32(0x7FFFFF)) != 0, np.uint32(0x400000), np.uint32(0))
