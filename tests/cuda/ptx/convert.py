"""Moves and conversions: mov, cvt, cvta.

`cvt` to an integer saturates, and makes 0 of NaN (all-ones for 64 bits is not modelled: refused).
Kinds it does not list are refused, as are `.ftz` and `.sat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.arithmetic import INTEGERS, elementwise
from ptx.decode import Decoder, Lanes, Run, opcode
from ptx.numbers import (
    TYPES,
    bf16_to_f32,
    f32_to_bf16,
    f32_to_tf32_away,
    f32_to_tf32_even,
)

if TYPE_CHECKING:
    from ptx.wave import Wave

SMALL = ("u8", "s8")
_TO_INTEGER = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
# Windows of the generic address space: no real device has addresses like these.
GENERIC = {"global": 0, "shared": 1 << 56, "local": 1 << 57}


@opcode("mov")
def _mov(d: Decoder) -> Run:
    kind = d.type()
    if d.operands[0].startswith("{"):
        return _unpack(d, kind)
    if d.operands[1].startswith("{"):
        return _pack(d, kind)
    return elementwise(d, lambda a: a, [kind], kind)


def _unpack(d: Decoder, kind: str) -> Run:
    """`mov.b32 {low, high}, a`."""
    d.count(2)
    parts = d.vector(0)
    part = f"b{8 * TYPES[kind].itemsize // len(parts)}"
    get, puts = d.get(1, kind), [d.put(name, part) for name in parts]

    def run(wave: Wave, lanes: Lanes) -> None:
        bits = np.atleast_1d(np.ascontiguousarray(get(wave, lanes)))
        pieces = bits.view(TYPES[part]).reshape(-1, len(parts))
        for index, put in enumerate(puts):
            put(wave, lanes, pieces[:, index].copy())

    return run


def _pack(d: Decoder, kind: str) -> Run:
    """`mov.b32 a, {low, high}`."""
    d.count(2)
    parts = d.vector(1)
    part = f"b{8 * TYPES[kind].itemsize // len(parts)}"
    gets, put = [d.get(name, part) for name in parts], d.put(0, kind)

    def run(wave: Wave, lanes: Lanes) -> None:
        pieces = np.broadcast_arrays(*(np.atleast_1d(get(wave, lanes)) for get in gets))
        put(wave, lanes, np.stack(pieces, -1).view(TYPES[kind])[..., 0])

    return run


@opcode("cvta")
def _cvta(d: Decoder) -> Run:
    """Between an address of a space and the generic address."""
    kind = d.type("u64")
    to_space = d.take("to") is not None
    window = np.uint64(GENERIC[d.need(*GENERIC)])
    function = np.subtract if to_space else np.add
    return elementwise(d, lambda a: function(a, window), [kind], kind)


@opcode("cvt")
def _cvt(d: Decoder) -> Run:
    source, target = d.type(), d.type()
    if target in ("bf16x2", "f16x2"):
        return _cvt_pair(d, source, target)
    function = _conversion(d, source, target)
    d.count(2)
    get, put = d.get(1, source, narrow=True), d.put(0, target, widen=True)

    def run(wave: Wave, lanes: Lanes) -> None:
        put(wave, lanes, function(get(wave, lanes)))

    return run


def _conversion(d: Decoder, source: str, target: str):
    integers = (*INTEGERS, *SMALL)
    if source in integers and target in integers:
        return lambda a: a.astype(TYPES[target])
    if source in integers and target in ("f32", "f64"):
        d.need("rn")
        return lambda a: a.astype(TYPES[target])
    if source in ("f32", "f64") and target in integers and TYPES[target].itemsize < 8:
        return _to_integer(_TO_INTEGER[d.need(*_TO_INTEGER)], TYPES[target])
    if (source, target) in (("f16", "f32"), ("f32", "f64")):
        return lambda a: a.astype(TYPES[target])
    if (source, target) in (("f32", "f16"), ("f64", "f32")):
        d.need("rn")
        return lambda a: a.astype(TYPES[target])
    if (source, target) == ("bf16", "f32"):
        return bf16_to_f32
    if (source, target) == ("f32", "bf16"):
        d.need("rn")
        return f32_to_bf16
    if (source, target) == ("f32", "tf32"):
        rounding = f32_to_tf32_away if d.need("rna", "rn") == "rna" else f32_to_tf32_even
        return lambda a: rounding(a.view(np.uint32))
    raise d.instruction.unknown(f"unknown conversion from {source} to {target}")


def _to_integer(rounding, dtype: np.dtype):
    limits = np.iinfo(dtype)

    def function(a: NDArray) -> NDArray:
        whole = np.nan_to_num(rounding(a.astype(np.float64)), nan=0.0)
        return np.clip(whole, limits.min, limits.max).astype(dtype)

    return function


def _cvt_pair(d: Decoder, source: str, target: str) -> Run:
    """`cvt.rn.bf16x2.f32 d, a, b`: a becomes the high half."""
    d.need("rn")
    if source != "f32":
        raise d.instruction.unknown(f"unknown conversion from {source} to {target}")

    def half(values: NDArray) -> NDArray:
        if target == "bf16x2":
            return f32_to_bf16(values)
        return values.astype(np.float16).view(np.uint16)

    def function(a: NDArray, b: NDArray) -> NDArray:
        return half(a).astype(np.uint32) << np.uint32(16) | half(b)

    return elementwise(d, function, ["f32", "f32"], target)
