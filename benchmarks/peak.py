"""The peak of one core, measured on the spot: what fractions of peak are fractions of.

float32 has the fused multiply-adds of its instruction set. bfloat16 with float32 sums has dot
products of pairs (AVX512-BF16) or tiles (AMX); sets without either compute it in float32.

`Peak` takes turns with the kernels it is compared with. Its time for a piece of work is what a core
would need that did nothing but fused multiply-adds, so fraction of peak = its time / the kernel's.
Both are CPU time of the thread: what the machine gives to others meanwhile is nobody's fault.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cnnzoo.errors import CnnzooError

LANES = {"avx512_bf16": 32, "avx512": 16, "avx2": 8, "scalar": 4}  # products an instruction
TILES = "amx"
ROUNDS = 1_000_000  # some 3 ms; an instruction on tiles takes 16 times as long as one on vectors
# Instruction sets that the assembler may not know, and the machine neither: torch's name for each.
ASK_FOR = {"avx512_bf16": "avx512_bf16", TILES: "amx_bf16"}


@dataclass
class Peak:
    """Work done at the peak; a `timing.Contender`.

    Attributes:
        isa: of the vectors.
        flops: of the work.
    """

    isa: str
    flops: float

    def measure(self, calls: int) -> list[float]:
        _run(self.isa)  # until the clock has settled
        seconds = []
        for _ in range(min(calls, 5)):
            start = time.thread_time()
            done = _run(self.isa)
            seconds.append(self.flops / done * (time.thread_time() - start))
        return seconds


def require(isa: str) -> None:
    """Raise a `CnnzooError`, one sentence, where the peak cannot be measured."""
    known = (TILES, *LANES)
    if isa not in known:
        raise CnnzooError(f"The peak is measured for {', '.join(known)}; not for {isa}.")
    _library()
    if isa in ASK_FOR and isa not in _there():
        raise CnnzooError(f"The peak of {isa} is measured where the machine has it; this has not.")
    if isa == TILES and not _run(TILES, 1):
        raise CnnzooError("The system does not allow this process to use AMX.")


def _run(isa: str, rounds: int = ROUNDS) -> float:
    """Run; return the operations done."""
    if isa == TILES:
        return float(_library().peak_run_tiles(max(1, rounds // 16)))
    return float(_library().peak_run(LANES[isa], rounds))


@functools.cache
def _there() -> tuple[str, ...]:
    """Those of `ASK_FOR` that this machine has; none where torch cannot tell."""
    import torch

    ask = getattr(torch.cpu, "get_capabilities", dict)
    found = ask()
    return tuple(isa for isa, name in ASK_FOR.items() if found.get(name))


@functools.cache
def _library() -> ctypes.CDLL:
    if platform.machine() not in ("x86_64", "AMD64"):
        raise CnnzooError(f"The peak is measured on x86-64; this is {platform.machine()}.")
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if compiler is None:
        raise CnnzooError("The peak needs a C++ compiler: g++ or clang++, or name one in CXX.")
    source = Path(__file__).with_name("peak.cpp")
    defines = [f"-DPEAK_{isa.upper()}" for isa in _there()]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "peak.so"
        done = subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", *defines, source, "-o", target],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise CnnzooError(f"{source.name} does not compile: {done.stderr.splitlines()[0]}")
        library = ctypes.CDLL(str(target))  # stays mapped when its file is gone
    library.peak_run.argtypes = (ctypes.c_int, ctypes.c_long)
    library.peak_run.restype = ctypes.c_double
    if TILES in _there():
        library.peak_run_tiles.argtypes = (ctypes.c_long,)
        library.peak_run_tiles.restype = ctypes.c_double
    return library
