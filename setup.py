"""Builds `cnnzoo._C`, the library with the fused kernels; everything else stands in pyproject.toml.

`CNNZOO_BUILD_NATIVE` decides: `auto` (default) builds, and where that fails installs without the
library and says so; `1` lets a failing build stop the install; `0` installs pure Python. What
happened is written to `cnnzoo/_native_build.json`, where `cnnzoo doctor` finds it afterwards.

`cnnzoo._C_cuda`, the CUDA kernels, comes along where `CNNZOO_BUILD_CUDA` says so: `auto` (default)
where this torch has CUDA and a GPU is there; `1`, or `FORCE_CUDA=1`, always, and a failure stops
the install; `0` never. `TORCH_CUDA_ARCH_LIST` names other architectures than the usual ones.

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
import shutil
import site
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
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
SOURCES = ["csrc/module.cpp", "csrc/bind_cpu.cpp", "csrc/bind_frozen.cpp", "csrc/bind_head.cpp"]
SOURCES += ["csrc/cpu/*.cpp"]
HEADERS = ["csrc/*.h", "csrc/cpu/*.h", "csrc/cpu/*.inl", "csrc/cpu/amx/*.h", "csrc/cpu/amx/*.inl"]
CUDA_SOURCES = ["csrc/module_cuda.cpp", "csrc/bind_cuda.cpp", "csrc/cuda/*.cpp"]
CUDA_KERNELS = ["csrc/cuda/*.cu"]
CUDA_HEADERS = ["csrc/*.h", "csrc/cuda/*.h", "csrc/cuda/*.cuh"]
CUDA_ARCHITECTURES = "7.5 8.0 8.6 8.9 9.0 10.0 12.0+PTX"

MODE = os.environ.get("CNNZOO_BUILD_NATIVE", "").strip().lower() or "auto"
if MODE not in ("auto", "1", "0"):
    raise SystemExit(f'CNNZOO_BUILD_NATIVE: expected auto, 1 or 0, got "{MODE}"')

MODE_CUDA = os.environ.get("CNNZOO_BUILD_CUDA", "").strip().lower() or "auto"
if MODE_CUDA not in ("auto", "1", "0"):
    raise SystemExit(f'CNNZOO_BUILD_CUDA: expected auto, 1 or 0, got "{MODE_CUDA}"')
if MODE_CUDA == "auto" and os.environ.get("FORCE_CUDA", "").strip() in ("0", "1"):
    MODE_CUDA = os.environ["FORCE_CUDA"].strip()


def files(patterns: list[str]) -> list[str]:
    return sorted(str(p.relative_to(HERE)) for pattern in patterns for p in HERE.glob(pattern))


WITHOUT = """
WARNING: cnnzoo goes without its native library: {reason}.
Everything works, slower, by the PyTorch reference. CNNZOO_BUILD_NATIVE=1 makes this an error.
"""


class Torch(NamedTuple):
    root: Path
    version: str
    cuda: str | None = None  # the CUDA it was built with: "13.0"


class Toolkit(NamedTuple):
    root: Path  # with include/cuda_runtime.h
    nvcc: Path
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
        text = (root / "version.py").read_text()
        version = re.search(r"__version__ = ['\"]([^'\"]+)", text)
        cuda = re.search(r"^cuda\b[^=]*= ['\"]([^'\"]+)", text, re.MULTILINE)
        numbers = [int(n) for n in re.findall(r"\d+", version[1])[:2]] if version else []
        if tuple(numbers) >= TORCH_AT_LEAST:
            return Torch(root, version[1], cuda[1] if cuda else None)
    return None


TORCH = find_torch()


def find_toolkit() -> Toolkit | None:
    """The CUDA toolkit of CUDA_HOME or CUDA_PATH, or else that of the nvcc on the PATH."""
    roots = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    found = shutil.which("nvcc")
    if found and not roots:
        # It may be a script or a link to somewhere else, so it is asked itself.
        command = [found, "--dryrun", "-c", "-x", "cu", os.devnull]
        answer = subprocess.run(command, capture_output=True, text=True, errors="replace").stderr
        roots = [Path(top) for top in re.findall(r"^#\$ TOP=(.+)$", answer, re.MULTILINE)]
        roots += [Path(found).resolve().parents[1]]
    for root in roots:
        for folder in (root, root.parent):  # TOP may be bin/..
            nvcc = folder / "bin" / "nvcc"
            if not (folder / "include/cuda_runtime.h").is_file() or not nvcc.is_file():
                continue
            answer = subprocess.run([str(nvcc), "--version"], capture_output=True, text=True).stdout
            version = re.search(r"release (\d+\.\d+)", answer)
            if version:
                return Toolkit(folder.resolve(), nvcc.resolve(), version[1])
    return None


def why_no_cuda() -> str | None:
    """None where the CUDA library is to be built, otherwise the reason that it is not."""
    if MODE == "0" or MODE_CUDA == "0":
        return "it was not asked for"
    if TORCH is None or TORCH.cuda is None:
        return "this torch has no CUDA"
    if MODE_CUDA == "auto" and not Path("/dev/nvidiactl").exists():
        return "no GPU is visible; FORCE_CUDA=1 builds it nevertheless"
    toolkit = find_toolkit()
    if toolkit is None:
        return "there is no CUDA toolkit: set CUDA_HOME to the folder with include/cuda_runtime.h"
    if toolkit.version.split(".")[0] != TORCH.cuda.split(".")[0]:
        return f"torch was built with CUDA {TORCH.cuda}, and the toolkit is {toolkit.version}"
    return None


def gencode(wanted: str, known: set[str]) -> list[str]:
    """Flags of nvcc for architectures like "8.0 9.0+PTX", as far as this nvcc knows them."""
    flags, kept = [], []
    for word in wanted.replace(";", " ").replace(",", " ").split():
        number = word.removesuffix("+PTX").replace(".", "")
        if re.sub(r"[af]$", "", number) not in known:
            continue
        kept.append(number)
        flags.append(f"-gencode=arch=compute_{number},code=sm_{number}")
        if word.endswith("+PTX"):
            flags.append(f"-gencode=arch=compute_{number},code=compute_{number}")
    if not kept:
        raise CompileError(f'none of the architectures "{wanted}" is known to this nvcc')
    return flags


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


class CudaLibrary(Extension):
    """`cnnzoo._C_cuda`: kernels for nvcc, and their binding for the C++ compiler."""

    def __init__(self, torch: Torch, toolkit: Toolkit) -> None:
        self.torch, self.toolkit = torch, toolkit
        listed = subprocess.run(
            [str(toolkit.nvcc), "--list-gpu-arch"], capture_output=True, text=True
        )
        known = set(re.findall(r"compute_(\d+)", listed.stdout))
        wanted = os.environ.get("TORCH_CUDA_ARCH_LIST", "").strip() or CUDA_ARCHITECTURES
        self.gencode = gencode(wanted, known)
        names = dict.fromkeys(re.split("[=_]", flag)[-1] for flag in self.gencode)
        super().__init__(
            "cnnzoo._C_cuda",
            sources=files(CUDA_SOURCES),
            depends=files(CUDA_HEADERS),
            language="c++",
            include_dirs=["csrc", str(torch.root / "include"), str(toolkit.root / "include")],
            library_dirs=[str(torch.root / "lib"), str(toolkit.root / "lib64")],
            libraries=["torch_cpu", "torch_cuda", "cudart"],
            define_macros=[
                ("TORCH_TARGET_VERSION", STABLE_ABI),
                ("CNNZOO_CUDA_VERSION", json.dumps(toolkit.version)),
                ("CNNZOO_CUDA_ARCHITECTURES", json.dumps(" ".join(names))),
                ("CNNZOO_TORCH_VERSION", json.dumps(torch.version)),
            ],
            extra_compile_args=[*FLAGS, f"-ffile-prefix-map={torch.root.parent}{os.sep}="],
        )

    def compile_kernels(self, folder: Path) -> None:
        """Run nvcc over every kernel file, two at a time, and hand the objects to the linker."""

        def compile_one(source: str) -> str:
            built = folder / "cuda" / (Path(source).name + ".o")
            built.parent.mkdir(parents=True, exist_ok=True)
            stamp = built.with_suffix(".flags")
            command = [str(self.toolkit.nvcc), "-O3", "-std=c++17", *self.gencode]
            command += ["-Xcompiler=-fPIC,-fvisibility=hidden", "-c", source, "-o", str(built)]
            text = " ".join(command)
            fresh = built.exists() and stamp.exists() and stamp.read_text() == text
            if not fresh or is_stale(str(built), source):
                run_compiler(command)
                stamp.write_text(text)
            return str(built)

        with ThreadPoolExecutor(2) as pool:
            self.extra_objects = list(pool.map(compile_one, files(CUDA_KERNELS)))


def libraries() -> list[Extension]:
    """Every compiled library. CUDA code gets one of its own: on a CPU-only torch it cannot load."""
    if MODE == "0":
        return []
    every: list[Extension] = [cpu_library(TORCH or Torch(Path("no-torch"), "none"))]
    reason = why_no_cuda()
    if reason is None:
        toolkit = find_toolkit()
        assert TORCH is not None
        assert toolkit is not None
        every.append(CudaLibrary(TORCH, toolkit))
    elif MODE_CUDA == "1" and MODE != "0":
        raise SystemExit(f"cnnzoo's CUDA library was asked for, but {reason}.")
    return every


class BuildNative(build_ext):
    """Compiles what changed; in `auto` mode a failure becomes a report instead of an error."""

    def finalize_options(self) -> None:
        if self.build_temp is None or self.editable_mode:
            # pip deletes the folder that an editable install compiles in. This one stays, and
            # another torch, Python, compiler or set of flags gets another.
            names = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "TORCH_CUDA_ARCH_LIST")
            key = repr([sys.version, TORCH, FLAGS, [os.environ.get(name) for name in names]])
            self.build_temp = f"build/native-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        super().finalize_options()

    def run(self) -> None:
        if not self.extensions:
            return
        self.no_cuda = why_no_cuda()
        inplace = self.inplace  # which a run that fails does not put back
        try:
            if TORCH is None:
                raise CompileError("torch >= 2.10, whose headers the build needs, is not installed")
            super().run()
        except (BaseError, CCompilerError, ImportError, OSError) as error:
            if MODE == "1" or MODE_CUDA == "1":
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
        cuda = [one for one in self.extensions if isinstance(one, CudaLibrary)]
        with ParallelCompile("CNNZOO_BUILD_JOBS", needs_recompile=is_stale):
            self.extensions = [one for one in self.extensions if one not in cuda]
            super().build_extensions()
            for extension in cuda:
                try:
                    extension.compile_kernels(Path(self.build_temp))
                    self.build_extension(extension)
                except (BaseError, CCompilerError, OSError) as error:
                    if MODE_CUDA == "1":
                        raise
                    self.no_cuda = str(error).strip() or type(error).__name__
                    print(f"WARNING: cnnzoo goes without CUDA: {self.no_cuda}.", file=sys.stderr)
                else:
                    self.extensions.append(extension)


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
    headers = CUDA_HEADERS if "cuda" in source else HEADERS
    return any(
        os.path.getmtime(path) > os.path.getmtime(built) for path in [source, *files(headers)]
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
    gone = ["_C"] if reason is not None else []
    if getattr(command, "no_cuda", reason) is not None:
        gone.append("_C_cuda")
    for name in gone:
        for old in [*folder.glob(f"{name}.*.so"), *folder.glob(f"{name}.*.pyd")]:
            old.unlink()  # of an earlier build, and of other sources
    if reason is not None:
        print(WITHOUT.format(reason=reason), file=sys.stderr)
    report = {
        "built": reason is None,
        "reason": reason,
        "mode": MODE,
        "cuda_reason": getattr(command, "no_cuda", reason),  # None where the CUDA library is there
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
