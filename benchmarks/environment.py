"""The process that measures: its malloc, its threads, its instruction set, and what it ran on.

glibc reads its settings once, when a process starts. Without them every large buffer is fresh
pages from the kernel on every step, and the page faults cost as much as the arithmetic; so the
process starts itself again with them set, and everyone who is compared runs inside it.

This file imports no torch: a process that will start itself again should do so at once.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from cnnzoo.machine import cpu_model

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}
# What holds PyTorch's own kernels, oneDNN's included, to the instruction set asked of ours.
_PEERS = {
    "avx512_bf16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "scalar": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}
_PACKAGES = ("cnnzoo", "torch", "numpy", "onnxruntime", "openvino", "pytest-benchmark")


def wanted(isa: str | None = None, threads: int | None = None) -> dict[str, str]:
    """Environment variables for a process that measures."""
    variables = dict(MALLOC)
    if isa:
        variables |= {"CNNZOO_ISA": isa, **_PEERS.get(isa, {})}
        # torch.compile would take programs for another instruction set from the cache that all
        # share, and compute garbage with them.
        cache = Path(tempfile.gettempdir()) / f"cnnzoo-benchmarks-compiled-{isa}"
        variables["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
    if threads:
        variables["OMP_NUM_THREADS"] = str(threads)
    return variables


def start_again(variables: dict[str, str]) -> None:
    """Replace this process by one with ``variables`` set, unless they are."""
    if not sys.platform.startswith("linux"):
        print("The malloc settings are glibc's: here everyone runs with the default malloc.")
        return
    if any(os.environ.get(name) != value for name, value in variables.items()):
        sys.stdout.flush()
        sys.stderr.flush()
        environment = {**os.environ, **variables}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def with_default_malloc() -> dict[str, str]:
    """The environment of a process as everyone starts it."""
    return {name: value for name, value in os.environ.items() if name not in MALLOC}


def describe(threads: int) -> dict[str, object]:
    """Everything one has to know to read the figures."""
    import torch

    from cnnzoo import ops

    status = ops.status()
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "isa": status.isa or f"none: {status.reason}",
        "isas": list(status.isas),
        "kernels": dict(status.kernels),
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "malloc": {name: os.environ.get(name, "default") for name in MALLOC},
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "native_build": dict(status.build),
        "commit": _commit(),
        "load_at_start": load(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def load() -> list[float]:
    """How many processes wanted a core, over 1, 5 and 15 minutes; empty where nobody counts."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []


def interruptions() -> int:
    """How often so far others were given a core that a thread of this process was using."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit that was measured, "-dirty" where files differ from it."""
    git = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(git, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
