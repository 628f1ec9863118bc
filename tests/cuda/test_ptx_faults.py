"""Each fault the interpreter looks for, planted once; and the innocent neighbour of each."""

from __future__ import annotations

import numpy as np
import ptx
import pytest
from ptx_snippets import kernel

SHARED = ".shared .align 4 .b8 s[512];"
STORE = "mad.lo.u32 %r1, %t, 4, %r0; st.shared.u32 [%r1], %t;"


def launch(body: str, threads: int = 64, blocks: int = 1, **more) -> tuple[ptx.Device, int]:
    """Run a snippet: p0 is 64 words 0, 1, …, p1 64 words that nobody wrote, which come back."""
    device = ptx.Device(1 << 14)
    given, out = device.upload(np.arange(64, dtype=np.uint32)), device.allocate(256, 4)
    k = kernel(body, params=2)
    device.launch(k, (blocks,), (threads,), ptx.pack(k, given, out), **more)
    return device, out


def shared(body: str, **more) -> tuple[ptx.Device, int]:
    """The same with %r0 at 512 bytes of shared memory s."""
    return launch(SHARED + "mov.u32 %r0, s;" + body, **more)


GLOBAL = "ld.param.u64 %rd0, [p0]; mad.wide.u32 %rd1, %t, 4, %rd0;"
OUT = "ld.param.u64 %rd0, [p1]; mad.wide.u32 %rd1, %t, 4, %rd0;"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (GLOBAL + "ld.global.u32 %r0, [%rd1+4];", "out-of-bounds read, global"),
        (GLOBAL + "ld.global.u32 %r0, [%rd1+-4];", "out-of-bounds read, global"),
        (OUT + "st.global.u32 [%rd1+4], %t;", "out-of-bounds write, global"),
        (GLOBAL + "ld.global.u32 %r0, [%rd1+2];", "misaligned read of 4"),
        (GLOBAL + "mul.wide.u32 %rd2, %t, 0; add.u64 %rd0, %rd0, %rd2;"
         "ld.global.v2.u32 {%r1, %r2}, [%rd0];", "misaligned read of 8"),
        (OUT + "ld.global.u32 %r0, [%rd1];", "uninitialised global"),
        ("add.u32 %r0, %r1, 1;", "register %r1 is read before"),
        ("setp.lt.u32 %p0, %t, 9; @%p0 mov.u32 %r1, 1; add.u32 %r2, %r1, 1;", "register %r1"),
        (OUT + "st.global.u32 [%rd0], %t;", "race in global memory.*same instruction"),
        (GLOBAL + "st.global.u32 [%rd1], %t; xor.b32 %r0, %t, 1; mad.wide.u32 %rd2, %r0, 4, %rd0;"
         "ld.global.u32 %r1, [%rd2];", "race in global memory.*reads what it wrote"),
        (GLOBAL + "ld.global.u32 %r1, [%rd0]; setp.eq.u32 %p0, %t, 5; "
         "@%p0 st.global.u32 [%rd0], %t;", "race in global memory.*writes what it read"),
        ("div.u32 %r0, %t, %t;", "division by zero by thread 0"),
        ("setp.lt.u32 %p0, %t, 32; @%p0 ret; bar.sync 0;", "barrier that 32 threads"),
        ("setp.lt.u32 %p0, %t, 32; @%p0 bra $A; bar.sync 0; bra $B; $A: bar.sync 0; $B:",
         "different barriers"),
        ("setp.lt.u32 %p0, %t, 9; @%p0 ret; shfl.sync.idx.b32 %r0, %t, 0, 31, 0xffffffff;",
         "warp operation that not every lane"),
        ("shfl.sync.idx.b32 %r0, %t, 0, 31, 0xff;", "lane that its mask leaves out"),
        ("setp.lt.u32 %p0, %t, 8; @!%p0 bra $E; shfl.sync.idx.b32 %r0, %t, 9, 31, 0xff; $E:",
         "shuffle from a lane"),
    ],
)  # fmt: skip
def test_faults(body, words):
    with pytest.raises(ptx.Fault, match=words):
        launch(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (STORE + "ld.shared.u32 %r2, [%r0+256];", "uninitialised shared"),
        (STORE + "ld.shared.u32 %r2, [%r1+400];", "out-of-bounds read, shared"),
        (STORE + "ld.shared.v2.u32 {%r2, %r3}, [%r0];", "misaligned read of 8"),
        (STORE + "xor.b32 %r2, %t, 32; mad.lo.u32 %r2, %r2, 4, %r0; ld.shared.u32 %r3, [%r2];",
         "race in shared memory.*reads what it wrote"),
        (STORE + "bar.sync 0; ld.shared.u32 %r2, [%r0]; "
         "setp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [%r0], %t;", "writes what it read"),
        # Two threads read, then the second writes: the first is not forgotten.
        ("setp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [%r0], %t; bar.sync 0;"
         "setp.lt.u32 %p1, %t, 1; @%p1 ld.shared.u32 %r2, [%r0];"
         "setp.eq.u32 %p2, %t, 63; @%p2 ld.shared.u32 %r3, [%r0]; @%p2 st.shared.u32 [%r0], %t;",
         "writes what it read"),
        # A barrier of the warp orders nothing between warps.
        (STORE + "bar.warp.sync 0xffffffff; xor.b32 %r2, %t, 32; mad.lo.u32 %r2, %r2, 4, %r0;"
         "ld.shared.u32 %r3, [%r2];", "race in shared memory"),
        (STORE + "xor.b32 %r2, %t, 1; mad.lo.u32 %r2, %r2, 4, %r0; ld.shared.u32 %r3, [%r2];",
         "race in shared memory"),
        # Nor does one that came before.
        ("bar.warp.sync 0xffffffff;" + STORE + "xor.b32 %r2, %t, 1; mad.lo.u32 %r2, %r2, 4, %r0;"
         "ld.shared.u32 %r3, [%r2];", "race in shared memory"),
        (GLOBAL + "mad.lo.u32 %r1, %t, 4, %r0; cp.async.ca.shared.global [%r1], [%rd1], 4;"
         "cp.async.commit_group; ld.shared.u32 %r2, [%r1];", "cp.async bytes before the wait"),
        (GLOBAL + "mad.lo.u32 %r1, %t, 4, %r0; cp.async.ca.shared.global [%r1], [%rd1], 4;"
         "cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r2, [%r1];",
         "cp.async bytes before the wait"),
        (GLOBAL + "mad.lo.u32 %r1, %t, 4, %r0; cp.async.ca.shared.global [%r1], [%rd1], 4;",
         "cp.async that nobody waited for"),
        (GLOBAL + "mad.lo.u32 %r1, %t, 4, %r0; cp.async.ca.shared.global [%r1], [%rd1], 4;"
         "cp.async.wait_all; xor.b32 %r2, %t, 1; mad.lo.u32 %r2, %r2, 4, %r0;"
         "ld.shared.u32 %r3, [%r2];", "race in shared memory"),
    ],
)  # fmt: skip
def test_faults_in_shared_memory(body, words):
    with pytest.raises(ptx.Fault, match=words):
        shared(body)


@pytest.mark.parametrize(
    "body",
    [
        STORE + "bar.sync 0; xor.b32 %r2, %t, 32; mad.lo.u32 %r2, %r2, 4, %r0;"
        "ld.shared.u32 %r3, [%r2]; barrier.sync.aligned 0; st.shared.u32 [%r1], %r3;",
        STORE + "bar.warp.sync 0xffffffff; xor.b32 %r2, %t, 1; mad.lo.u32 %r2, %r2, 4, %r0;"
        "ld.shared.u32 %r3, [%r2]; bar.warp.sync 0xffffffff; st.shared.u32 [%r1], %r3;",
        # All lanes of a warp read one word, synchronise, and one of them writes it.
        "setp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [%r0], %t; bar.warp.sync 0xffffffff;"
        "setp.lt.u32 %p1, %t, 32; @%p1 ld.shared.u32 %r2, [%r0]; bar.warp.sync 0xffffffff;"
        "@%p0 st.shared.u32 [%r0], %t;",
        GLOBAL + "mad.lo.u32 %r1, %t, 4, %r0; cp.async.ca.shared.global [%r1], [%rd1], 4;"
        "cp.async.wait_all; bar.sync 0; xor.b32 %r2, %t, 1; mad.lo.u32 %r2, %r2, 4, %r0;"
        "ld.shared.u32 %r3, [%r2];",
    ],
)
def test_what_is_ordered_is_no_race(body):
    shared(body)


def test_blocks_race_whatever_their_barriers():
    body = OUT + "setp.eq.u32 %p0, %t, 0; bar.sync 0; @%p0 st.global.u32 [%rd0], %t; bar.sync 0;"
    launch(body)
    for lanes in (64, 8192):  # one block at a time, and all together
        with pytest.raises(ptx.Fault, match="race in global memory"):
            launch(body, blocks=3, lanes=lanes)
    # Every block reads a word, and the last one writes it, too.
    body = GLOBAL + "ld.global.u32 %r1, [%rd0]; bar.sync 0; mov.u32 %r2, %ctaid.x;"
    body += "setp.eq.u32 %p0, %r2, 2; setp.eq.u32 %p1, %t, 0; and.pred %p2, %p0, %p1;"
    body += "@%p2 st.global.u32 [%rd0], %t;"
    for lanes in (64, 8192):
        with pytest.raises(ptx.Fault, match="writes what it read"):
            launch(body, blocks=3, lanes=lanes)


def test_atomics_add_up_and_are_no_race():
    k = kernel("ld.param.u64 %rd0, [p0]; atom.global.add.u32 %r0, [%rd0], 3;"
               "red.global.max.u32 [%rd0+4], %t;", params=1)  # fmt: skip
    device = ptx.Device(1 << 14)
    word = device.upload(np.zeros(2, np.uint32))
    device.launch(k, (2,), (64,), ptx.pack(k, word))
    assert device.download(word, "u4", (2,)).tolist() == [2 * 64 * 3, 63]


def test_launches_beyond_the_limits():
    k = kernel("", params=0)
    device = ptx.Device(1 << 12)
    for grid, block, shared_bytes in (((0,), (32,), 0), ((1,), (1025,), 0), ((1, 65536), (1,), 0),
                                      ((1,), (32,), 49 << 10)):  # fmt: skip
        with pytest.raises(ptx.Fault, match=r"cannot launch|bytes of shared memory"):
            device.launch(k, grid, block, b"", shared_bytes)
    with pytest.raises(ptx.Fault, match="bytes of params"):
        device.launch(k, (1,), (1,), b"\0")


def test_outputs_that_were_not_written():
    device, out = launch(OUT + "setp.lt.u32 %p0, %t, 63; @%p0 st.global.u32 [%rd1], %t;")
    with pytest.raises(ptx.Fault, match="4 of 256 bytes"):
        device.download(out, "u4", (64,))


@pytest.mark.parametrize(
    "statement",
    [
        "tex.1d.v4.s32.s32 {%r0, %r1, %r2, %r3}, [p0, {%r4}];",  # opcodes
        "add.sat.s32 %r0, %t, %t;",  # modifiers
        "add.ftz.f32 %r0, %r0, %r0;",
        "add.rz.f32 %r0, %r0, %r0;",
        "mul.s32 %r0, %t, %t;",
        "fma.f32 %r0, %r0, %r0, %r0;",
        "cvt.f32.s32 %r0, %t;",
        "cvt.rn.sat.f16.f32 %h0, %r0;",
        "cvt.rn.s32.f32 %r0, %r0;",
        "setp.lo.s32.xyz %p0, %t, %t;",
        "setp.ltu.s32 %p0, %t, %t;",
        "ld.global.weird.u32 %r0, [%rd0];",
        "ld.tex.u32 %r0, [%rd0];",
        "st.async.u32 [%rd0], %r0;",
        "bar.sync 1;",
        "bar.arrive 0, 32;",
        "bra.foo $L;",
        "bra $nowhere;",
        "mma.sync.aligned.m16n8k8.row.row.f32.tf32.tf32.f32 {%r0}, {%r0}, {%r0}, {%r0};",
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%r0}, {%r0}, {%r0}, {%r0};",
        "mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%r0}, {%r0}, {%r0}, {%r0};",
        "cp.async.bulk.shared.global [%r0], [%rd0], 16;",
        "shfl.idx.b32 %r0, %t, 0, 31;",
        "activemask.b32 %r0;",
        "add.u32 %r0, %nothing, 1;",  # operands
        "add.u32 %rd0, %t, 1;",
        "add.u64 %rd0, %t, 1;",
        "add.u32 %r0, %t;",
        "ld.global.v2.u32 {%r0}, [%rd0];",
        "ld.global.u32 %r0, [%t];",
        ".weird %r<3>;",  # directives
    ],
)
def test_what_it_does_not_know_raises(statement):
    with pytest.raises(ptx.UnknownPtxError, match=r"line 1[0-9]"):
        launch(statement)
