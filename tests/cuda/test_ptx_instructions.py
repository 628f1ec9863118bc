"""Arithmetic, logic, comparisons and conversions of the interpreter against numpy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ptx.decode import DECODERS
from ptx.numbers import TYPES, bf16_to_f32, fma_f32
from ptx_snippets import both, numbers, run, same

BINARY = {
    "add": (np.add, ("u16", "u32", "s32", "u64", "f32", "f64")),
    "sub": (np.subtract, ("u32", "s64", "f32")),
    "mul.lo": (np.multiply, ("u16", "s32", "u64")),
    "mul.rn": (np.multiply, ("f32", "f64")),
    "div.rn": (np.divide, ("f32",)),
    "and": (np.bitwise_and, ("b16", "b32", "b64")),
    "or": (np.bitwise_or, ("b32",)),
    "xor": (np.bitwise_xor, ("b64",)),
    "min": (np.minimum, ("u32", "s32", "s64")),
    "max": (np.maximum, ("u16", "s32", "u64")),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, (_, kinds) in BINARY.items() for kind in kinds]
)
def test_two_operands(name, kind):
    a, b = both(kind)
    with np.errstate(all="ignore"):
        same(run(f"{name}.{kind} %d, %a, %b;", kind, (kind, a), (kind, b)), BINARY[name][0](a, b))


@pytest.mark.parametrize("kind", ["s32", "u32", "s64", "u16"])
def test_integer_division_rounds_to_zero(kind):
    a, b = both(kind)
    b = np.where(b == 0, 7, b).astype(a.dtype)
    overflow = (a == np.iinfo(a.dtype).min) & (b.astype(np.int64) == -1)
    a = np.where(overflow, 5, a).astype(a.dtype)
    quotient = [int(abs(int(p)) // abs(int(q))) * (1 if (p < 0) == (q < 0) else -1)
                for p, q in zip(a, b, strict=True)]  # fmt: skip
    got = run(f"div.{kind} %d, %a, %b;", kind, (kind, a), (kind, b))
    same(got, np.array(quotient, object).astype(a.dtype))
    rest = [int(p) - q * int(r) for p, q, r in zip(a, quotient, b, strict=True)]
    got = run(f"rem.{kind} %d, %a, %b;", kind, (kind, a), (kind, b))
    same(got, np.array(rest, object).astype(a.dtype))


@pytest.mark.parametrize(("kind", "wide"), [("s32", "s64"), ("u32", "u64"), ("u16", "u32")])
def test_wide_and_high_products(kind, wide):
    a, b = both(kind)
    product = a.astype(wide.replace("s", "int").replace("u", "uint")) * b
    same(run(f"mul.wide.{kind} %d, %a, %b;", wide, (kind, a), (kind, b)), product)
    high = (product >> (8 * a.itemsize)).astype(a.dtype)
    same(run(f"mul.hi.{kind} %d, %a, %b;", kind, (kind, a), (kind, b)), high)
    c = numbers(wide, len(a))
    got = run(f"mad.wide.{kind} %d, %a, %b, %c;", wide, (kind, a), (kind, b), (wide, c))
    same(got, product + c)
    low = numbers(kind, len(a))
    got = run(f"mad.lo.{kind} %d, %a, %b, %c;", kind, (kind, a), (kind, b), (kind, low))
    same(got, a * b + low)


def test_the_high_half_of_64_bits():
    a, b = both("s64")
    high = [(int(p) * int(q)) >> 64 for p, q in zip(a, b, strict=True)]
    same(run("mul.hi.s64 %d, %a, %b;", "s64", ("s64", a), ("s64", b)), np.array(high))


def test_fma_rounds_once():
    from fractions import Fraction

    draw = np.random.default_rng(1)
    bits = draw.integers(0, 1 << 32, (3, 4000), np.uint32)
    # Close to each other in size, so that sums cancel, and products that end near a tie.
    bits = bits & np.uint32(0x87FFFFFF) | np.uint32(0x38000000)
    bits[2, :2000] = bits[2, :2000] & np.uint32(0xFFFFFF) | np.uint32(0x25000000)
    bits[:2, 2000:] &= np.uint32(0xFFFFF000)
    a, b, c = bits.view(np.float32)
    got = fma_f32(a, b, c)
    for p, q, r, g in zip(*(v.astype(float) for v in (a, b, c)), got, strict=True):
        exact = Fraction(p) * Fraction(q) + Fraction(r)
        below, above = np.nextafter(g, np.float32(-np.inf)), np.nextafter(g, np.float32(np.inf))
        error = abs(exact - Fraction(float(g)))
        assert error <= abs(exact - Fraction(float(below)))
        assert error <= abs(exact - Fraction(float(above)))
        if error == abs(exact - Fraction(float(above))) and error:
            assert g.view(np.uint32) % 2 == 0, "ties to even"
    a, b, c = (numbers("f32", 200) for _ in range(3))
    got = run("fma.rn.f32 %d, %a, %b, %c;", "f32", ("f32", a), ("f32", b), ("f32", c))
    with np.errstate(all="ignore"):
        same(got, (a.astype(float) * b + c).astype(np.float32))  # no ties among these


def test_fma_at_a_tie_that_two_roundings_miss():
    # 1 + 2^-24 is a tie between 1 and 1 + 2^-23; the 2^-80 that breaks it is beyond float64.
    a, b = np.float32([2**-40]), np.float32([2**-40])
    c = np.float32([1 + 2**-23])
    tie = fma_f32(np.float32([1 + 2**-12]), np.float32([1 + 2**-12]), np.float32([2**-80]))
    exact = (1 + 2**-11) + 2**-24  # a tie but for 2^-80
    assert tie[0] == np.float32(1 + 2**-11 + 2**-23), exact
    assert fma_f32(a, b, c)[0] == c[0]


@pytest.mark.parametrize("kind", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("name", ["min", "max"])
def test_floating_extremes(name, kind):
    a, b = both(kind)
    x, y = (bf16_to_f32(v) if kind == "bf16" else v for v in (a, b))
    pick = np.fmin if name == "min" else np.fmax
    value = pick(x, y)
    zeros = (x == 0) & (y == 0)
    sign = (np.signbit(x) | np.signbit(y)) if name == "min" else (np.signbit(x) & np.signbit(y))
    value = np.where(zeros, np.where(sign, -0.0, 0.0), value).astype(x.dtype)
    got = run(f"{name}.{kind} %d, %a, %b;", kind, (kind, a), (kind, b))
    same(bf16_to_f32(got) if kind == "bf16" else got, value)
    nan = np.where(np.isnan(x) | np.isnan(y), np.nan, value).astype(x.dtype)
    got = run(f"{name}.NaN.{kind} %d, %a, %b;", kind, (kind, a), (kind, b))
    same(bf16_to_f32(got) if kind == "bf16" else got, nan)


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("neg.s32 %d, %a;", "s32", np.negative),
        ("neg.f32 %d, %a;", "f32", np.negative),
        ("neg.bf16 %d, %a;", "bf16", lambda a: a ^ np.uint16(0x8000)),
        ("abs.s32 %d, %a;", "s32", np.abs),
        ("abs.f32 %d, %a;", "f32", np.abs),
        ("not.b32 %d, %a;", "b32", np.invert),
        ("mov.b64 %d, %a;", "b64", lambda a: a),
        ("mov.f32 %d, 0fC0200000;", "f32", lambda a: np.full_like(a, -2.5)),
        ("mov.f64 %d, 0dC004000000000000;", "f64", lambda a: np.full_like(a, -2.5)),
        ("mov.u32 %d, -3;", "u32", lambda a: np.full_like(a, 0xFFFFFFFD)),
        ("mov.u32 %d, WARP_SZ;", "u32", lambda a: np.full_like(a, 32)),
        ("mov.b32 {%h0, %h1}, %a; mov.b32 %d, {%h1, %h0};", "b32", lambda a: a >> 16 | a << 16),
        ("popc.b32 %d, %a;", "b32", lambda a: [bin(v).count("1") for v in a]),
        ("clz.b32 %d, %a;", "b32", lambda a: [32 - int(v).bit_length() for v in a]),
        ("brev.b32 %d, %a;", "b32", lambda a: [int(f"{v:032b}"[::-1], 2) for v in a]),
        ("bfe.u32 %d, %a, 5, 9;", "u32", lambda a: a >> 5 & 511),
        ("bfe.u32 %d, %a, 30, 9;", "u32", lambda a: a >> 30),
        ("bfi.b32 %d, 0x155, %a, 5, 9;", "b32", lambda a: a & ~np.uint32(511 << 5) | 0x155 << 5),
        ("prmt.b32 %d, %a, 0x44332211, 0x7340;", "b32",
         lambda a: a & 255 | 0x1100 | a >> 8 & 0xFF0000 | 0x44000000),
        ("prmt.b32 %d, %a, 0, 0x8888;", "b32", lambda a: np.where(a & 128, 0xFFFFFFFF, 0)),
    ],
)  # fmt: skip
def test_one_operand(code, kind, expected):
    a = numbers(kind)
    same(run(code, kind, (kind, a)), np.asarray(expected(a)).astype(a.dtype))


@pytest.mark.parametrize("count", [0, 1, 31, 32, 40, 255])
def test_shifts_beyond_the_width(count):
    a, s = numbers("u32"), numbers("s32")
    by = np.full(64, count, np.uint32)
    left = [int(v) << count & 0xFFFFFFFF for v in a]
    same(run("shl.b32 %d, %a, %b;", "u32", ("u32", a), ("u32", by)), np.array(left, np.uint32))
    right = [int(v) >> count for v in a]
    same(run("shr.u32 %d, %a, %b;", "u32", ("u32", a), ("u32", by)), np.array(right, np.uint32))
    signed = [int(v) >> count for v in s]
    same(run("shr.s32 %d, %a, %b;", "s32", ("s32", s), ("u32", by)), np.array(signed, np.int32))


@pytest.mark.parametrize("mode", ["l.wrap", "r.wrap", "l.clamp", "r.clamp"])
def test_funnel_shift(mode):
    low, high = numbers("b32"), numbers("b32")[::-1]
    count = np.arange(64, dtype=np.uint32)
    by = count % 32 if "wrap" in mode else np.minimum(count, 32)
    both_ = [int(h) << 32 | int(x) for x, h in zip(low, high, strict=True)]
    expected = [
        (v << int(n) >> 32 if mode[0] == "l" else v >> int(n)) & 0xFFFFFFFF
        for v, n in zip(both_, by, strict=True)
    ]
    code = f"shf.{mode}.b32 %d, %a, %b, %c;"
    got = run(code, "b32", ("b32", low), ("b32", high), ("u32", count))
    same(got, np.array(expected, np.uint32))


@pytest.mark.parametrize("table", [0x00, 0x96, 0xE8, 0xCA, 0xFF, 0x3C])
def test_any_logic_of_three(table):
    a, b, c = (numbers("b32") for _ in range(3))
    expected = np.zeros_like(a)
    for bit in range(32):
        row = (a >> bit & 1) << 2 | (b >> bit & 1) << 1 | c >> bit & 1
        expected |= (np.uint32(table) >> row & 1) << np.uint32(bit)
    code = f"lop3.b32 %d, %a, %b, %c, {table};"
    same(run(code, "b32", ("b32", a), ("b32", b), ("b32", c)), expected)


COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
           "gt": np.greater, "ge": np.greater_equal}  # fmt: skip


@pytest.mark.parametrize("kind", ["s32", "u32", "s64", "u16", "f32", "f64", "bf16"])
@pytest.mark.parametrize("name", COMPARE)
def test_comparisons(name, kind):
    a, b = both(kind)
    x, y = (bf16_to_f32(v) if kind == "bf16" else v for v in (a, b))
    nan = np.isnan(x) | np.isnan(y) if x.dtype.kind == "f" else np.zeros(len(x), bool)
    code = f"setp.{{}}.{kind} %p1, %a, %b; selp.u32 %d, 1, 0, %p1;"
    got = run(code.format(name), "u32", (kind, a), (kind, b))
    same(got, COMPARE[name](x, y) & ~nan)
    if x.dtype.kind == "f":
        got = run(code.format(name + "u"), "u32", (kind, a), (kind, b))
        same(got, COMPARE[name](x, y) | nan)
    elif x.dtype.kind == "u" and name in ("lt", "le", "gt", "ge"):
        other = {"lt": "lo", "le": "ls", "gt": "hi", "ge": "hs"}[name]
        same(run(code.format(other), "u32", (kind, a), (kind, b)), COMPARE[name](x, y))


def test_comparison_with_nan_and_a_third_predicate():
    a, b = both("f32")
    nan = np.isnan(a) | np.isnan(b)
    for name, expected in (("nan", nan), ("num", ~nan)):
        code = f"setp.{name}.f32 %p1, %a, %b; selp.u32 %d, 1, 0, %p1;"
        same(run(code, "u32", ("f32", a), ("f32", b)), expected)
    code = """setp.lt.u32 %p0, %t, 100;
    setp.lt.{}.f32 %p1|%p2, %a, %b, {}%p0;
    selp.u32 %r0, 1, 0, %p1; selp.u32 %r1, 2, 0, %p2; or.b32 %d, %r0, %r1;"""
    third = np.arange(len(a)) < 100
    for name, function in (("and", np.logical_and), ("or", np.logical_or), ("xor", np.not_equal)):
        for sign, other in (("", third), ("!", ~third)):
            got = run(code.format(name, sign), "u32", ("f32", a), ("f32", b))
            same(got, function(a < b, other) + 2 * function(~(a < b), other))


def test_logic_of_predicates():
    code = """setp.ne.s32 %p0, %a, 0; setp.ne.s32 %p1, %b, 0;
    {}.pred %p2, %p0, %p1; not.pred %p3, %p2; selp.u32 %d, 1, 0, !%p3;"""
    a, b = np.repeat([0, 1], 2).astype("i4"), np.tile([0, 1], 2).astype("i4")
    for name, function in (("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.not_equal)):
        same(run(code.format(name), "u32", ("s32", a), ("s32", b)), function(a, b))


@pytest.mark.parametrize(
    ("code", "source", "target"),
    [
        ("cvt.s64.s32", "s32", "s64"), ("cvt.u64.u32", "u32", "u64"), ("cvt.u32.u64", "u64", "u32"),
        ("cvt.s32.s16", "s16", "s32"), ("cvt.u16.u32", "u32", "u16"),
        ("cvt.rn.f32.s32", "s32", "f32"), ("cvt.rn.f32.u64", "u64", "f32"),
        ("cvt.f32.f16", "f16", "f32"), ("cvt.rn.f16.f32", "f32", "f16"),
        ("cvt.f64.f32", "f32", "f64"), ("cvt.rn.f32.f64", "f64", "f32"),
    ],
)  # fmt: skip
def test_conversions_as_in_numpy(code, source, target):
    a = numbers(source)
    with np.errstate(all="ignore"):
        expected = a.astype(TYPES[target])
    same(run(f"{code} %d, %a;", target, (source, a)), expected)


@pytest.mark.parametrize(("mode", "rounding"), [("rni", np.rint), ("rzi", np.trunc),
                                                ("rmi", np.floor), ("rpi", np.ceil)])  # fmt: skip
def test_conversion_to_integer_saturates(mode, rounding):
    a = np.float32([0.5, 1.5, -0.5, -1.5, 2.5, 1e20, -1e20, np.nan, np.inf, 7.9, -7.1])
    wide = np.nan_to_num(rounding(a.astype(float)), nan=0.0)
    expected = np.clip(wide, -(2**31), 2**31 - 1).astype(np.int32)
    same(run(f"cvt.{mode}.s32.f32 %d, %a;", "s32", ("f32", a)), expected)
    expected = np.clip(wide, 0, 2**32 - 1).astype(np.uint32)
    same(run(f"cvt.{mode}.u32.f32 %d, %a;", "u32", ("f32", a)), expected)


def test_bfloat16_rounds_as_torch_does():
    torch = pytest.importorskip("torch")
    draw = np.random.default_rng(2)
    bits = draw.integers(0, 1 << 32, 1000, np.uint32)
    bits[:300] = bits[:300] & np.uint32(0xFFFF0000) | np.uint32(0x8000)  # ties
    a = bits.view(np.float32)
    expected = torch.from_numpy(a).bfloat16().float().numpy()
    got = run("cvt.rn.bf16.f32 %d, %a;", "bf16", ("f32", a))
    same(bf16_to_f32(got), expected)
    same(run("cvt.f32.bf16 %d, %a;", "f32", ("bf16", got)), expected)
    pair = run("cvt.rn.bf16x2.f32 %d, %a, %b;", "b32", ("f32", a), ("f32", a[::-1].copy()))
    same(bf16_to_f32((pair >> 16).astype(np.uint16)), expected)
    same(bf16_to_f32(pair.astype(np.uint16)), expected[::-1])
    pair = run("cvt.rn.f16x2.f32 %d, %a, %b;", "b32", ("f32", a), ("f32", a[::-1].copy()))
    with np.errstate(over="ignore"):
        same((pair >> 16).astype(np.uint16).view(np.float16), a.astype(np.float16))


def test_tf32_ties_go_away_from_zero_or_to_even():
    a = np.float32([1 + 2**-11, 1 + 3 * 2**-11, -(1 + 2**-11), 1 + 2**-12, 3.0, np.inf, np.nan])
    away = np.float32([1 + 2**-10, 1 + 2 * 2**-10, -(1 + 2**-10), 1.0, 3.0, np.inf, np.nan])
    even = np.float32([1.0, 1 + 2 * 2**-10, -1.0, 1.0, 3.0, np.inf, np.nan])
    same(run("cvt.rna.tf32.f32 %d, %a;", "f32", ("f32", a)), away)
    same(run("cvt.rn.tf32.f32 %d, %a;", "f32", ("f32", a)), even)


def test_no_opcode_is_without_a_test():
    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_ptx_*.py"))
    found = set(re.findall(r'\b([a-z][a-z0-9]*)(?=[.{"])', texts))
    missing = set(DECODERS) - found
    assert not missing
