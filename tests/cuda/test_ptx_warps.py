"""Memory, control flow, warp and matrix instructions of the interpreter against numpy."""

from __future__ import annotations

import numpy as np
import ptx
import pytest
from ptx.numbers import bf16_to_f32, f32_to_bf16
from ptx_snippets import kernel, numbers, run

WORDS = np.arange(100, 164, dtype=np.uint32)


def words(body: str, threads: int = 64, given: np.ndarray = WORDS, **more) -> np.ndarray:
    """What a snippet leaves in %r15 of each thread; %rd0 is the address of `given`."""
    device = ptx.Device(1 << 16)
    start, out = device.upload(given), device.allocate(4 * threads)
    k = kernel(f"""ld.param.u64 %rd0, [p0]; {body}
        ld.param.u64 %rd15, [p1]; mad.wide.u32 %rd15, %t, 4, %rd15; st.global.u32 [%rd15], %r15;
    """, params=2)  # fmt: skip
    device.launch(k, (1,), (threads,), ptx.pack(k, start, out), **more)
    return device.download(out, "u4", (threads,))


def test_loads_widen_by_their_type():
    given = np.array([0x80, 0x7F] * 64, np.uint8)
    code = "mad.wide.u32 %rd1, %t, 2, %rd0; ld.global.{}.{} %r15, [%rd1];"
    assert set(words(code.format("nc", "s8"), given=given)) == {0xFFFFFF80}
    assert set(words(code.format("L1::no_allocate.L2::128B", "u8"), given=given)) == {0x80}
    assert set(words(code.format("nc", "s16"), given=given.view("u2"))) == {0x7F80}


def test_vectors_to_and_from_shared_and_local_memory():
    body = """.shared .align 16 .b8 s[1024]; .local .align 16 .b8 l[16];
    mul.wide.u32 %rd1, %t, 4; add.u64 %rd1, %rd0, %rd1; ld.global.u32 %r1, [%rd1];
    add.u32 %r2, %r1, 1; add.u32 %r3, %r1, 2; add.u32 %r4, %r1, 3;
    mov.u32 %r0, s; mad.lo.u32 %r0, %t, 16, %r0; st.shared.v4.u32 [%r0], {%r1, %r2, %r3, %r4};
    ld.shared.v2.u32 {%r5, %r6}, [%r0+8];
    mov.u64 %rd2, l; st.local.v2.u32 [%rd2+8], {%r5, %r6};
    cvta.local.u64 %rd3, %rd2; ld.u32 %r7, [%rd3+12];
    mov.u64 %rd4, s; cvta.shared.u64 %rd4, %rd4; mad.wide.u32 %rd4, %t, 16, %rd4;
    ld.u32 %r8, [%rd4+4]; cvta.to.global.u64 %rd5, %rd0; ld.global.u32 %r9, [%rd5];
    mad.lo.u32 %r15, %r7, 1000, %r8; add.u32 %r15, %r15, %r9;"""
    assert words(body).tolist() == [1000 * (w + 3) + w + 1 + 100 for w in WORDS.tolist()]


def test_parameters_by_address_and_as_vectors():
    k = ptx.parse(""".visible .entry k(.param .align 8 .b8 p0[24], .param .u64 p1)
    { .reg .b32 %r<9>; .reg .b64 %rd<9>;
      mov.b64 %rd1, p0; ld.param.u64 %rd0, [p1]; ld.param.v2.u32 {%r1, %r2}, [%rd1+8];
      ld.param.u32 %r3, [p0+20]; ld.param.u16 %r4, [p0]; add.u32 %r1, %r1, %r4;
      st.global.v2.u32 [%rd0], {%r1, %r2}; st.global.u32 [%rd0+8], %r3; ret; }""")["k"]  # fmt: skip
    device = ptx.Device(1 << 12)
    out = device.allocate(12)
    device.launch(k, (1,), (1,), ptx.pack(k, np.arange(6, dtype="i4").tobytes(), out))
    assert device.download(out, "u4", (3,)).tolist() == [2, 3, 5]


def test_branches_loops_and_reconvergence():
    """A loop of as many rounds as the thread's number; shfl after it needs everyone back."""
    body = """mov.u32 %r15, 0; mov.u32 %r1, 0;
    $L: setp.ge.u32 %p0, %r1, %t; @%p0 bra $E; add.u32 %r15, %r15, %r1; add.u32 %r1, %r1, 1;
    bra.uni $L;
    $E: shfl.sync.bfly.b32 %r2, %r15, 1, 31, 0xffffffff; add.u32 %r15, %r15, %r2;"""
    totals = [n * (n - 1) // 2 for n in range(64)]
    assert words(body).tolist() == [totals[n] + totals[n ^ 1] for n in range(64)]


def test_scopes_of_inline_assembly_keep_their_registers_apart():
    body = """mov.u32 %r15, 0;
    { .reg .b32 x; mov.u32 x, 5; { .reg .b32 x; mov.u32 x, 7; add.u32 %r15, %r15, x; }
      add.u32 %r15, %r15, x; }"""
    assert set(words(body)) == {12}


def test_threads_know_who_they_are():
    k = kernel("""mov.u32 %r0, %tid.y; mov.u32 %r1, %ntid.x; mad.lo.u32 %r2, %r0, %r1, %t;
        mov.u32 %r0, %ctaid.z; mov.u32 %r1, %nctaid.y; mov.u32 %r3, %ctaid.y;
        mad.lo.u32 %r0, %r0, %r1, %r3; mov.u32 %r3, %ctaid.x; mov.u32 %r1, %nctaid.x;
        mad.lo.u32 %r0, %r0, %r1, %r3; mad.lo.u32 %r3, %r0, 6, %r2;
        ld.param.u64 %rd0, [p0]; mad.wide.u32 %rd0, %r3, 4, %rd0; mov.u32 %r4, %laneid;
        mad.lo.u32 %r4, %r3, 100, %r4; st.global.u32 [%rd0], %r4;""", params=1)  # fmt: skip
    for seed in (0, 1):
        device = ptx.Device(1 << 14)
        out = device.allocate(4 * 60 * 6)
        device.launch(k, (2, 5, 6), (3, 2), ptx.pack(k, out), seed=seed, lanes=64)
        got = device.download(out, "u4", (360,))
        assert got.tolist() == [100 * i + i % 6 for i in range(360)]


@pytest.mark.parametrize(
    ("mode", "step", "clamp", "source"),
    [
        ("idx", 3, 31, lambda i: i // 32 * 32 + 3),
        ("bfly", 5, 31, lambda i: i ^ 5),
        ("down", 4, 31, lambda i: i + 4 if i % 32 < 28 else i),
        ("up", 4, 0, lambda i: i - 4 if i % 32 >= 4 else i),
        ("idx", 1, 0x181F, lambda i: i // 8 * 8 + 1),  # segments of eight lanes
        ("down", 1, 0x181F, lambda i: i + 1 if i % 8 < 7 else i),
    ],
)
def test_shuffles(mode, step, clamp, source):
    body = f"""add.u32 %r1, %t, 1000; shfl.sync.{mode}.b32 %r2|%p0, %r1, {step}, {clamp}, -1;
    selp.u32 %r3, 0, 10000, %p0; add.u32 %r15, %r2, %r3;"""
    expected = [1000 + source(i) + (10000 if mode != "idx" and source(i) == i else 0)
                for i in range(64)]  # fmt: skip
    assert words(body).tolist() == expected


def test_votes():
    votes = np.arange(64) % 3 == 0
    given = "rem.u32 %r1, %t, 3; setp.eq.u32 %p0, %r1, 0;"
    ballots = words(given + "vote.sync.ballot.b32 %r15, %p0, 0xffffffff;")
    halves = [sum(1 << i for i in range(32) if votes[32 * w + i]) for w in (0, 1)]
    assert ballots.tolist() == [halves[0]] * 32 + [halves[1]] * 32
    for mode, expected in (("any", 1), ("all", 0), ("uni", 0)):
        code = f"vote.sync.{mode}.pred %p1, %p0, 0xffffffff; selp.u32 %r15, 1, 0, %p1;"
        assert set(words(given + code)) == {expected}
        assert set(words("setp.ge.u32 %p0, %t, 0;" + code)) == {1}


def test_fences_and_the_copy_that_skips_lanes():
    body = """.shared .align 16 .b8 s[256]; fence.acq_rel.gpu; membar.gl;
    mov.u32 %r0, s; mad.lo.u32 %r0, %t, 4, %r0; mad.wide.u32 %rd1, %t, 4, %rd0;
    setp.lt.u32 %p0, %t, 20; selp.u32 %r1, 4, 0, %p0; @!%p0 add.u64 %rd1, %rd1, 1000000;
    cp.async.ca.shared.global.L2::128B [%r0], [%rd1], 4, %r1; cp.async.commit_group;
    cp.async.wait_group 0; ld.shared.u32 %r15, [%r0];"""
    assert words(body).tolist() == [*range(100, 120), *[0] * 44]


FRAGMENTS = [
    ("m16n8k16", "bf16", 16, 4, 2),
    ("m16n8k16", "f16", 16, 4, 2),
    ("m16n8k8", "bf16", 8, 2, 1),
    ("m16n8k8", "f16", 8, 2, 1),
    ("m16n8k8", "tf32", 8, 4, 2),
    ("m16n8k4", "tf32", 4, 2, 1),
]


@pytest.mark.parametrize(("shape", "kind", "depth", "na", "nb"), FRAGMENTS)
def test_matrix_products(shape, kind, depth, na, nb):
    """Fragments packed by the manual's formulas, lane by lane, and nothing shared with `matrix`."""
    draw = np.random.default_rng(3)
    a, b = draw.integers(-9, 9, (16, depth)), draw.integers(-9, 9, (depth, 8))
    c = draw.integers(-99, 99, (16, 8)).astype(np.float32)

    def word(*values: float) -> int:
        if kind == "tf32":  # low bits that the instruction must ignore
            return int(np.float32(values[0]).view(np.uint32)) | 0x0ABC
        to = (lambda v: int(f32_to_bf16(np.float32(v)))) if kind == "bf16" else (
            lambda v: int(np.float16(v).view(np.uint16)))  # fmt: skip
        return to(values[0]) | to(values[1]) << 16

    memory = np.zeros((32, 16), np.uint32)
    for lane in range(32):
        group, thread = lane >> 2, lane & 3
        if kind == "tf32":
            # a0 (g, t)  a1 (g + 8, t)  a2 (g, t + 4)  a3 (g + 8, t + 4);  b0 (t, g)  b1 (t + 4, g)
            spots = [(group, thread), (group + 8, thread), (group, thread + 4),
                     (group + 8, thread + 4)][:na]  # fmt: skip
            left = [word(a[i, j]) for i, j in spots]
            right = [word(b[thread + 4 * i, group]) for i in range(nb)]
        else:
            rows, columns = (group, group + 8, group, group + 8), (0, 0, 8, 8)
            left = [word(a[r, 2 * thread + j], a[r, 2 * thread + j + 1])
                    for r, j in list(zip(rows, columns, strict=True))[:na]]  # fmt: skip
            right = [word(b[2 * thread + j, group], b[2 * thread + j + 1, group])
                     for j in (0, 8)[:nb]]  # fmt: skip
        sums = [c[group, 2 * thread], c[group, 2 * thread + 1], c[group + 8, 2 * thread],
                c[group + 8, 2 * thread + 1]]  # fmt: skip
        memory[lane, :na], memory[lane, 4 : 4 + nb] = left, right
        memory[lane, 6:10] = np.float32(sums).view(np.uint32)

    device = ptx.Device(1 << 14)
    given, out = device.upload(memory), device.allocate(32 * 16)
    used = [*range(na), *range(4, 4 + nb), *range(6, 10)]
    loads = "".join(f"ld.global.u32 %r{i}, [%rd1+{4 * i}];" for i in used)

    def regs(start: int, n: int) -> str:
        return "{" + ",".join(f"%r{start + i}" for i in range(n)) + "}"

    k = kernel(f"""ld.param.u64 %rd0, [p0]; mad.wide.u32 %rd1, %t, 64, %rd0; {loads}
        mma.sync.aligned.{shape}.row.col.f32.{kind}.{kind}.f32
            {regs(6, 4)}, {regs(0, na)}, {regs(4, nb)}, {regs(6, 4)};
        ld.param.u64 %rd2, [p1]; mad.wide.u32 %rd3, %t, 16, %rd2;
        st.global.v4.b32 [%rd3], {regs(6, 4)};""", params=2)  # fmt: skip
    device.launch(k, (1,), (32,), ptx.pack(k, given, out))
    got = device.download(out, "f4", (32, 4))
    expected = a @ b + c
    for lane in range(32):
        group, thread = lane >> 2, lane & 3
        for i, (row, column) in enumerate([(group, 0), (group, 1), (group + 8, 0), (group + 8, 1)]):
            assert got[lane, i] == expected[row, 2 * thread + column]


@pytest.mark.parametrize("swapped", [False, True])
def test_ldmatrix(swapped):
    """Thread 4r + c of matrix m gets row r, columns 2c and 2c + 1; swapped, of its transpose."""
    matrices = np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8)
    body = f""".shared .align 16 .b8 s[512]; mov.u32 %r0, s; mad.lo.u32 %r1, %t, 16, %r0;
    mad.wide.u32 %rd1, %t, 16, %rd0; ld.global.v4.u32 {{%r2, %r3, %r4, %r5}}, [%rd1];
    st.shared.v4.u32 [%r1], {{%r2, %r3, %r4, %r5}}; bar.sync 0;
    ldmatrix.sync.aligned.m8n8.x4{".trans" if swapped else ""}.shared.b16
        {{%r6, %r7, %r8, %r9}}, [%r1];
    """
    for m in range(4):
        got = words(body + f"mov.u32 %r15, %r{6 + m};", 32, matrices.view(np.complex128))
        matrix = matrices[m].T if swapped else matrices[m]
        expected = np.ascontiguousarray(matrix).view(np.uint32).ravel()
        assert got.tolist() == expected.tolist()


def test_instructions_are_counted():
    k = kernel("setp.lt.u32 %p0, %t, 9; @%p0 add.u32 %r0, %t, 1;", params=0)
    counts = ptx.Device(1 << 12).launch(k, (2,), (40,), b"")
    assert counts.lanes["add.u32"] == 18
    assert counts.lanes["setp.lt.u32"] == 80


def test_traffic_is_counted_in_sectors():
    body = """ld.param.u64 %rd0, [p0]; mad.wide.u32 %rd1, %t, 4, %rd0; ld.global.u32 %r1, [%rd1];
    mad.wide.u32 %rd1, %t, 32, %rd0; st.global.u32 [%rd1+1024], %r1;"""
    k = kernel(body, params=1)
    device = ptx.Device(1 << 14)
    start = device.upload(np.zeros(1024, np.uint32))
    first = start % 32 // 4  # words into a sector
    counts = device.launch(k, (1,), (32,), ptx.pack(k, start))
    assert counts.sectors["st"] == 32
    assert counts.sectors["ld"] == (4 if first == 0 else 5)


def test_bfloat16_there_and_back():
    bits = numbers("bf16")
    got = run("cvt.f32.bf16 %d, %a;", "f32", ("bf16", bits))
    again = run("cvt.rn.bf16.f32 %d, %a;", "bf16", ("f32", got))
    np.testing.assert_array_equal(bf16_to_f32(again), bf16_to_f32(bits))
