"""Snippets of PTX as kernels, and values to run them on.

A snippet sees one thread's inputs in %a, %b, %c and leaves its result in %d; it runs on as many
threads as there are values.
"""

from __future__ import annotations

import numpy as np
import ptx
from ptx.numbers import TYPES, f32_to_bf16

LOADS = {1: "u8", 2: "b16", 4: "b32", 8: "b64"}


def kernel(body: str, registers: str = "", params: int = 4, extra: str = "") -> ptx.parser.Kernel:
    """A kernel k with 64-bit parameters p0, p1, …; %t is the thread's number."""
    declared = ", ".join(f".param .u64 p{i}" for i in range(params))
    text = f"""
    .version 9.0
    .target sm_90
    .address_size 64
    {extra}
    .visible .entry k({declared})
    {{
        .reg .pred %p<4>;
        .reg .b16 %h<8>;
        .reg .b32 %r<16>;
        .reg .b64 %rd<16>;
        .reg .b32 %t;
        {registers}
        mov.u32 %t, %tid.x;
        {body}
        ret;
    }}
    """
    return ptx.parse(text)["k"]


def run(code: str, result: str, *inputs: tuple[str, np.ndarray]) -> np.ndarray:
    """What `code` leaves in %d, of type `result`, for inputs (type, values) in %a, %b, %c."""
    n = len(inputs[0][1])
    device = ptx.Device(1 << 16)
    types = [kind for kind, _ in inputs]
    body, registers, addresses = "", "", []
    for i, (kind, values) in enumerate(inputs):
        name, size = "%" + "abc"[i], TYPES[kind].itemsize
        registers += f".reg .b{8 * max(size, 2)} {name};\n"
        addresses.append(device.upload(np.ascontiguousarray(values)))
        body += f"""
        ld.param.u64 %rd{i}, [p{i}];
        mad.wide.u32 %rd{i}, %t, {size}, %rd{i};
        ld.global.{LOADS[size]} {name}, [%rd{i}];
        """
    size = TYPES[result].itemsize
    registers += f".reg .b{8 * max(size, 2)} %d;\n"
    body += f"""
        {code}
        ld.param.u64 %rd9, [p3];
        mad.wide.u32 %rd9, %t, {size}, %rd9;
        st.global.{LOADS[size]} [%rd9], %d;
    """
    out = device.allocate(size * n)
    k = kernel(body, registers)
    values = [*addresses, *[0] * (3 - len(types)), out]
    device.launch(k, (1,), (n,), ptx.pack(k, *values))
    return device.download(out, TYPES[result], (n,))


DRAW = np.random.default_rng(0)


def numbers(kind: str, n: int = 64) -> np.ndarray:
    """Values of a type, its edges among them."""
    dtype = TYPES[kind]
    if kind == "bf16":
        return f32_to_bf16(numbers("f32", n))
    if dtype.kind == "f":
        edges = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 65504.0, 1e-40, 3e38, -7.0, 2.0]
        with np.errstate(over="ignore"):
            return np.concatenate([edges, 8 * DRAW.standard_normal(n - len(edges))]).astype(dtype)
    limits = np.iinfo(dtype)
    edges = [limits.min, limits.max, 0, 1, limits.max // 2, 31, 32, 33]
    drawn = DRAW.integers(limits.min, limits.max, n - len(edges), dtype, endpoint=True)
    return np.concatenate([np.array(edges, dtype), drawn])


def both(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays in which every edge meets every edge."""
    some = numbers(kind, 16)
    a, b = np.meshgrid(some, some)
    return a.ravel(), b.ravel()


def same(got: np.ndarray, expected: np.ndarray) -> None:
    """Bit for bit, but for which NaN."""
    expected = np.asarray(expected, got.dtype)
    if got.dtype.kind == "f":
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(got), nan)
        unsigned = f"u{got.itemsize}"
        got, expected = got[~nan].view(unsigned), expected[~nan].view(unsigned)
    np.testing.assert_array_equal(got, expected)
