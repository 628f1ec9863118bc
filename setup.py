"""Builds `cnnzoo._C`, the library with the fused kernels; everything else stands in pyproject.toml.

`CNNZOO_BUILD_NATIVE` decides: `auto` (default) builds, and where that fails installs without the
library and says so; `1` lets a failing build stop the install; `0` installs pure Python. What
happened is written to `cnnzoo/_native_build.json`, where `cnnzoo doctor` finds it afterwards.

torch is located by path and never imported: pip's build isolation hides it from import, but its
headers and libraries still lie in the environment that pip installs into. The binding uses torch's
stable ABI, so one library serves every torch from 2.10 on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import site
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError, CCompilerError, CompileError

TORCH_AT_LEAST = (2, 10)
STABLE_ABI = "0x020a000000000000"  # the ABI of torch 2.10, which every later torch keeps
FLAGS = ["-O3", "-g0", "-std=c++17", "-fvisibility=hidden", "-Wall"]  # never -march=native

REPORT = "_native_build.json"

HERE = Path(__file__).resolve().parent
SOURCES = ["csrc/module.cpp", "csrc/bind_cpu.cpp", "csrc/cpu/*.cpp"]
HEADERS = ["csrc/**/*.h", "csrc/**/*.inl"]

MODE = os.environ.get("CNNZOO_BUILD_NATIVE", "").strip().lower() or "auto"
if MODE not in ("auto", "1", "0"):
    raise SystemExit(f'CNNZOO_BUILD_NATIVE: expected auto, 1 or 0, got "{MODE}"')


def files(patterns: list[str]) -> list[str]:
    return sorted(str(p.relative_to(HERE)) for pattern in patterns for p in HERE.glob(pattern))


WITHOUT = """
WARNING: cnnzoo goes without its native library: {reason}.
Everything works, slower, by the PyTorch reference. CNNZOO_BUILD_NATIVE=1 makes this an error.
"""


class Torch(NamedTuple):
    root: Path
    version: str


def find_torch() -> Torch | None:
    """The torch that could be imported, or else the one of the environment behind the isolation."""
    spec = importlib.util.find_spec("torch")
    roots = [Path(root) for root in (spec and spec.submodule_search_locations) or []]
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    for root in roots + [Path(folder, "torch") for folder in folders]:
        if not (root / "include/torch/csrc/stable").is_dir() or not (root / "version.py").is_file():
            continue
        version = re.search(r"__version__ = ['\"]([^'\"]+)", (root / "version.py").read_text())
        numbers = [int(n) for n in re.findall(r"\d+", version[1])[:2]] if version else []
        if tuple(numbers) >= TORCH_AT_LEAST:
            return Torch(root, version[1])
    return None


TORCH = find_torch()


def cpu_library(torch: Torch) -> Extension:
    """`cnnzoo._C`: the torch-free kernels, their binding, and what the library says of itself."""
    return Extension(
        "cnnzoo._C",
        sources=files(SOURCES),
        depends=files(HEADERS),
        language="c++",
        include_dirs=["csrc", str(torch.root / "include")],
        library_dirs=[str(torch.root / "lib")],
        libraries=["torch_cpu"],
        define_macros=[
            ("TORCH_TARGET_VERSION", STABLE_ABI),
            ("CNNZOO_FLAGS", json.dumps(" ".join(FLAGS))),
            ("CNNZOO_TORCH_VERSION", json.dumps(torch.version)),
        ],
        # The second flag keeps the paths of this machine out of the library.
        extra_compile_args=[*FLAGS, f"-ffile-prefix-map={torch.root.parent}{os.sep}="],
    )


def libraries() -> list[Extension]:
    """Every compiled library. CUDA code gets one of its own: on a CPU-only torch it cannot load."""
    if MODE == "0":
        return []
    return [cpu_library(TORCH or Torch(Path("no-torch"), "none"))]


class BuildNative(build_ext):
    """Compiles what changed; in `auto` mode a failure becomes a report instead of an error."""

    def finalize_options(self) -> None:
        if self.build_temp is None or self.editable_mode:
            # pip deletes the folder that an editable install compiles in. This one stays, and
            # another torch, Python, compiler or set of flags gets another.
            names = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS")
            key = repr([sys.version, TORCH, FLAGS, [os.environ.get(name) for name in names]])
            self.build_temp = f"build/native-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        super().finalize_options()

    def run(self) -> None:
        if not self.extensions:
            return
        inplace = self.inplace  # which a run that fails does not put back
        try:
            if TORCH is None:
                raise CompileError("torch >= 2.10, whose headers the build needs, is not installed")
            super().run()
        except (BaseError, CCompilerError, ImportError, OSError) as error:
            if MODE == "1":
                raise
            self.extensions, self.inplace = [], inplace
            write_report(self, reason=str(error).strip() or type(error).__name__)
        else:
            write_report(self, reason=None)

    def build_extensions(self) -> None:
        import pybind11
        from pybind11.setup_helpers import ParallelCompile

        for extension in self.extensions:
            extension.include_dirs.append(pybind11.get_include())
        self.compiler.spawn = self.compiler.call = run_compiler  # setuptools renamed it in 2026
        with ParallelCompile("CNNZOO_BUILD_JOBS", needs_recompile=is_stale):
            super().build_extensions()


class BuildPython(build_py):
    """Copies the Python files, and says so when that is all that was wanted."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            Path(self.build_lib, "cnnzoo", REPORT).unlink(missing_ok=True)  # of an install in place
        if MODE == "0":
            write_report(self, reason="it was installed with CNNZOO_BUILD_NATIVE=0")


def is_stale(built: str, source: str) -> bool:
    """Whether a source, or any header of ours, is younger than what was made of it."""
    return any(
        os.path.getmtime(path) > os.path.getmtime(built) for path in [source, *files(HEADERS)]
    )


def run_compiler(command: list[str], **_: Any) -> None:
    """Run a compiler and keep its first complaint: `exit code 1` would help nobody afterwards."""
    command = [str(part) for part in command]
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise CompileError(f"the compiler {command[0]} cannot be run ({error.strerror})") from error
    print(" ".join(command), done.stdout, done.stderr, sep="\n", file=sys.stderr)
    if done.returncode:
        lines = (done.stderr + done.stdout).splitlines()
        first = next((line.strip() for line in lines if "error" in line.lower()), "no message")
        raise CompileError(f"{name} stopped with exit code {done.returncode}: {first}")


def write_report(command: Command, *, reason: str | None) -> None:
    """Leave the outcome inside the package, in the source tree where the install is editable."""
    inplace = getattr(command, "inplace", False) or getattr(command, "editable_mode", False)
    folder = Path("" if inplace else command.build_lib, "cnnzoo")
    if reason is not None:
        for old in [*folder.glob("_C.*.so"), *folder.glob("_C.*.pyd")]:
            old.unlink()  # of an earlier build, and of other sources
        print(WITHOUT.format(reason=reason), file=sys.stderr)
    report = {
        "built": reason is None,
        "reason": reason,
        "mode": MODE,
        "torch": TORCH.version if TORCH else None,
        "python": sysconfig.get_python_version(),
        "platform": sysconfig.get_platform(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":  # false when a test reads the functions above
    os.chdir(HERE)
    setup(
        ext_modules=libraries(),
        cmdclass={"build_ext": BuildNative, "build_py": BuildPython},
        # Asked of pip only where there is no torch to build against, so that it fetches none twice.
        setup_requires=["torch>=2.10"] if TORCH is None and MODE != "0" else [],
    )
