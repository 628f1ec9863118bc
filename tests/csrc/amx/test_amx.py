"""The kernels for AMX, executed without AMX: on emulated instructions, and on AVX512-BF16.

`check.cpp` of the folder above judges them as it judges every instruction set. `emulator.h` checks
what the hardware would fault on, and planted mistakes show that it does. What only AMX itself can
show runs where it is, and is skipped by name elsewhere.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cnnzoo.ops import _native

HERE = Path(__file__).parent
CSRC = HERE.parents[2] / "csrc"
COMPILER = os.environ.get("CXX", "g++")
INSTRUCTIONS = {"ldtilecfg", "tilerelease", "tilezero", "tileloadd", "tilestored", "tdpbf16ps"}

# A planted mistake → how it comes out.
FAULTS = {
    "pair_order": r"FAILED seed \d+, amx:",
    "stale_sums": r"FAILED seed \d+, amx:",
    "past_buffer": r"EMULATOR: tileloadd of tile \d: row \d+ ends \d+ bytes past a buffer of \d+",
    "no_configuration": r"FAILED seed \d+, amx:",
    "no_release": r"EMULATOR: a task ended without tilerelease",
}

# Layer and pass → the least share of useful products, in percent.
SHARES = {
    "mnist_cnn conv1 y": 25,
    "mnist_cnn conv1 dW": 45,
    "mnist_cnn conv2 y": 75,
    "mnist_cnn conv2 dX": 65,
    "mnist_cnn conv2 dW": 65,
    "vgg 64-128 16x16 y": 99,
    "vgg 64-128 16x16 dX": 99,
    "vgg 64-128 16x16 dW": 70,
}

pytestmark = [
    pytest.mark.skipif(
        shutil.which(COMPILER) is None, reason=f"needs a C++ compiler, and {COMPILER} is not there"
    ),
    pytest.mark.skipif(
        platform.machine() not in ("x86_64", "AMD64"), reason="AMX is an extension of x86-64"
    ),
]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return where the objects go: one folder a mode, compiled once."""
    return tmp_path_factory.mktemp("amx")


def run(build, mode, *arguments, **environment):
    """Build a driver in one mode and let it run."""
    done = subprocess.run(
        ["sh", str(HERE / "run.sh"), mode, *map(str, arguments)],
        env={**os.environ, "CXX": COMPILER, "BUILD": str(build / mode), **environment},
        capture_output=True,
        text=True,
    )
    missing = re.search(r"cannot find .*lib(asan|ubsan)", done.stderr)
    if missing:
        pytest.skip(f"needs the compiler's lib{missing[1]}")
    return done


def has(flag):
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and re.search(rf"\b{flag}\b", cpuinfo.read_text()) is not None


@pytest.mark.parametrize(
    ("mode", "twin", "cases"),
    [
        ("plain", "checked", 200),
        ("plain", "dot_product", 400),
        ("asan", "checked", 40),
        ("asan", "dot_product", 40),
    ],
)
def test_kernels_agree_with_the_reference(build, mode, twin, cases):
    if twin == "dot_product" and not has("avx512_bf16"):
        pytest.skip("needs a processor with AVX512-BF16")
    done = run(build, mode, twin, cases)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{cases} cases on amx: all right\n"


def test_sums_that_overflow_are_pooled_as_torch_does(build):
    done = run(build, "plain", "pool", 2000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "4000 windows: all right\n"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_mistake_is_noticed(build, fault):
    done = run(build, "plain", "checked", 20, CNNZOO_EMULATOR_FAULT=fault)
    assert done.returncode != 0
    assert re.search(FAULTS[fault], done.stdout), done.stdout + done.stderr


def test_most_of_what_tiles_multiply_is_useful(build):
    done = run(build, "plain", "share")
    assert done.returncode == 0, done.stdout + done.stderr
    line = r"^(.+?) +(\w+) +[\d.]+ products an image +(\d+) % useful"
    found = {f"{m[1]} {m[2]}": int(m[3]) for m in re.finditer(line, done.stdout, re.MULTILINE)}
    low = {name: found.get(name) for name, least in SHARES.items() if found.get(name, 0) < least}
    assert not low, done.stdout
    assert max(found.values()) <= 100, done.stdout


def test_the_real_instructions_are_assembled(tmp_path):
    if shutil.which("objdump") is None or platform.system() != "Linux":
        pytest.skip("needs objdump, and Linux, which lends tiles to processes")
    target = tmp_path / "isa_amx.o"
    source = CSRC / "cpu" / "isa_amx.cpp"
    flags = ["-O3", "-std=c++17", "-fPIC", f"-I{CSRC}", "-c", str(source), "-o", str(target)]
    built = subprocess.run([COMPILER, *flags], capture_output=True, text=True)
    if re.search(r"no such instruction: .*tile|bad register name .*tmm", built.stderr):
        pytest.skip("needs an assembler that knows AMX (binutils 2.34)")
    assert built.returncode == 0, built.stderr
    code = subprocess.run(["objdump", "-d", str(target)], capture_output=True, text=True).stdout
    assert {name for name in INSTRUCTIONS if re.search(rf"\t{name}\b", code)} == INSTRUCTIONS
    # A task begins with its configuration and ends by giving the tiles back, on every way out.
    assert code.count("\tldtilecfg") <= code.count("\ttilerelease")


def test_amx_is_chosen_strictly():
    if not _native.status().available:
        pytest.skip("needs the native library")
    code = "from cnnzoo.ops import _native; s = _native.status(); print(s.isa or s.reason)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CNNZOO_ISA": "amx", "CNNZOO_REQUIRE_NATIVE": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if "amx" in _native.status().isas:
        assert done.stdout == "amx\n"
    else:
        assert re.fullmatch(
            r'CNNZOO_ISA: expected .*scalar, got "amx", which this machine lacks\.\n', done.stdout
        ), done.stdout


def test_onednn_and_amx_take_turns():
    """On AMX itself: configurations of tiles are per thread, and both use the same threads."""
    if "amx" not in _native.status().isas:
        pytest.skip("needs a processor with AMX and the native library")
    done = subprocess.run(
        [sys.executable, str(HERE / "alternate.py"), "50"],
        env={**os.environ, "CNNZOO_ISA": "amx"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "50 turns: the same bits\n"
