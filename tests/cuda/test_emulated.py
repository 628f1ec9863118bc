"""The CUDA kernels' source, executed on the CPU: right, in any order, and clean under sanitizers.

`emulated/check.cpp` judges random cases against the float64 reference in C++. Planted faults show
that the emulator notices what it is there for.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cuda_toolkit import folder_of_headers

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX", "g++")
MODES = ("plain", "asan", "tsan")
INSTANCES = {
    f"{kernel} {dtype}"
    for kernel in (
        "forward_direct fixed",
        "forward_direct few",
        "forward_direct many",
        "forward_mma few",
        "forward_mma many",
    )
    for dtype in ("float32", "bfloat16", "float16")
}

# Fault → the builds that notice it, whatever the order of threads.
FAULTS = {
    "missing_barrier": "plain tsan",
    "overwritten_too_early": "plain tsan",
    "divergent_barrier": "plain asan tsan",
    "early_return": "plain asan tsan",
    "past_global": "asan",
    "past_shared": "asan",
    "misaligned": "asan",
    "never_written": "plain asan tsan",
    "unwritten_output": "plain asan tsan",
    "blocks_race": "tsan",
    "last_block": "tsan",
    "missing_syncwarp": "plain tsan",
    "shuffle_mask": "plain asan tsan",
    "copy_not_awaited": "plain asan tsan",
    "raw_tf32": "plain asan tsan",
    "too_many_threads": "plain asan tsan",
    "too_much_shared": "plain asan tsan",
}

pytestmark = [
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"needs {COMPILER}"),
    pytest.mark.skipif(
        platform.machine() != "x86_64", reason="the emulator switches stacks on x86-64 only"
    ),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that builds a driver in one mode and runs it; objects are kept."""
    headers = folder_of_headers()
    objects = tmp_path_factory.mktemp("emulated")

    def start(mode, driver, *arguments):
        done = subprocess.run(
            ["sh", str(HERE / "emulated" / "run.sh"), mode, driver, *map(str, arguments)],
            env={
                **os.environ,
                "CXX": COMPILER,
                "CUDA_HOME": str(headers),
                "BUILD": str(objects / mode),
                "TSAN_OPTIONS": "halt_on_error=1",
                "TORCH": str(Path(torch.__file__).parent),
                "CNNZOO_NATIVE": "0",  # the emulated library takes its place
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
        )
        missing = re.search(r"cannot find .*lib(asan|ubsan|tsan)", done.stderr)
        if missing:
            pytest.skip(f"needs the compiler's lib{missing[1]}")
        return done

    return start


@pytest.mark.parametrize(("mode", "cases"), [("plain", 300), ("asan", 24), ("tsan", 10)])
def test_kernels_agree_with_the_reference(run, mode, cases):
    done = run(mode, "check", cases)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{cases} cases: all right" in done.stdout
    if mode == "plain":
        assert set(re.findall(r"^(forward_.+): \d+$", done.stdout, re.MULTILINE)) == INSTANCES


def test_the_binding_over_emulated_kernels(run):
    done = run("plain", "binding", sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "the binding: all right\n"


@pytest.mark.parametrize("mode", MODES)
def test_sound_kernels_pass(run, mode):
    for name in FAULTS:
        done = run(mode, "faults", name, 0, 2)
        assert done.returncode == 0, (name, done.stdout + done.stderr)


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_noticed(run, name):
    for mode in FAULTS[name].split():
        outcomes = [run(mode, "faults", name, 1, seed).returncode for seed in (0, 1, 2)]
        # A program that does not even run would be no proof: 127 and the like.
        assert any(outcomes), (mode, outcomes)
        assert all(code in (0, 1, 2, 66, -6, 134) for code in outcomes), (mode, outcomes)
