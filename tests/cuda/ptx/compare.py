"""Comparisons and what is chosen by them: setp, selp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx.arithmetic import FLOATS, INTEGERS, elementwise
from ptx.decode import Decoder, Lanes, Run, opcode
from ptx.numbers import bf16_to_f32

if TYPE_CHECKING:
    from ptx.wave import Wave

_ORDERED = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
            "gt": np.greater, "ge": np.greater_equal}  # fmt: skip
_UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
_UNORDERED = {name + "u": name for name in _ORDERED}
_COMBINE = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


@opcode("setp")
def _setp(d: Decoder) -> Run:
    """`setp.compare[.combine].type p[|q], a, b[, [!]c]`: q is the opposite comparison."""
    kind = d.type(*INTEGERS, "b16", "b32", "b64", *FLOATS, "bf16", "f16")
    name = d.need(*_ORDERED, *_UNSIGNED, *_UNORDERED, "num", "nan")
    combine = d.take(*_COMBINE)
    d.count(4 if combine else 3)
    if kind in ("bf16", "f16", *FLOATS):
        if name in _UNSIGNED:
            raise d.instruction.unknown(f".{name} of {kind}")
    elif name in _UNORDERED or name in ("num", "nan"):
        raise d.instruction.unknown(f".{name} of {kind}")
    compare = _comparison(name)
    first, second = d.get(1, kind), d.get(2, kind)
    third = d.get(3, "pred") if combine else None
    names = d.operands[0].split("|")
    puts = [d.put(each, "pred") for each in names]

    def run(wave: Wave, lanes: Lanes) -> None:
        a, b = first(wave, lanes), second(wave, lanes)
        if kind == "bf16":
            a, b = bf16_to_f32(a), bf16_to_f32(b)
        result = compare(a, b)
        results = [result, ~result]
        if third is not None and combine:
            other = third(wave, lanes)
            results = [_COMBINE[combine](each, other) for each in results]
        for put, each in zip(puts, results, strict=False):
            put(wave, lanes, each)

    return run


def _comparison(name: str):
    """Ordered ones are false where an operand is NaN, unordered ones true."""
    if name == "num":
        return lambda a, b: ~(np.isnan(a) | np.isnan(b))
    if name == "nan":
        return lambda a, b: np.isnan(a) | np.isnan(b)
    if name in _UNORDERED:
        function = _ORDERED[_UNORDERED[name]]
        return lambda a, b: function(a, b) | np.isnan(a) | np.isnan(b)
    function = _ORDERED[_UNSIGNED.get(name, name)]
    if name == "ne":  # numpy's is true of NaN
        return lambda a, b: (a != b) & (a == a) & (b == b)
    return function


@opcode("selp")
def _selp(d: Decoder) -> Run:
    kind = d.type(*INTEGERS, "b16", "b32", "b64", *FLOATS)

    def function(a: NDArray, b: NDArray, chosen: NDArray) -> NDArray:
        return np.where(chosen, a, b)

    return elementwise(d, function, [kind, kind, "pred"], kind)
