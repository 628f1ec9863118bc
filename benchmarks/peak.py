"""The FMA peak of one core, measured on the spot: what fractions of peak are fractions of.

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

LANES = {"avx512": 16, "avx2": 8, "scalar": 4}
ROUNDS = 1_000_000  # some 3 ms


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
        lanes, library = LANES[self.isa], _library()
        library.peak_run(lanes, ROUNDS)  # until the clock has settled
        seconds = []
        for _ in range(min(calls, 5)):
            start = time.thread_time()
            done = library.peak_run(lanes, ROUNDS)
            seconds.append(self.flops / done * (time.thread_time() - start))
        return seconds


def require(isa: str) -> None:
    """Raise a `CnnzooError`, one sentence, where the peak cannot be measured."""
    if isa not in LANES:
        raise CnnzooError(f"The FMA peak is measured for {', '.join(LANES)}; not for {isa}.")
    _library()


@functools.cache
def _library() -> ctypes.CDLL:
    if platform.machine() not in ("x86_64", "AMD64"):
        raise CnnzooError(f"The FMA peak is measured on x86-64; this is {platform.machine()}.")
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if compiler is None:
        raise CnnzooError("The FMA peak needs a C++ compiler: g++ or clang++, or name one in CXX.")
    source = Path(__file__).with_name("peak.cpp")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "peak.so"
        done = subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", source, "-o", target],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise CnnzooError(f"{source.name} does not compile: {done.stderr.splitlines()[0]}")
        library = ctypes.CDLL(str(target))  # stays mapped when its file is gone
    library.peak_run.argtypes = (ctypes.c_int, ctypes.c_long)
    library.peak_run.restype = ctypes.c_double
    return library
