"""Compiles csrc/cuda with nvcc: PTX, cubins, ptxas's figures, and the launchers as a library.

The library is the host code that nvcc makes, linked to `ptx/host/runtime.cpp` instead of libcudart:
its launches come back to Python. All of it is kept under build/cuda-tests, by a hash of whatever
goes in.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Another copy of the sources, to break one on purpose and see a test fail.
SOURCES = Path(os.environ.get("CNNZOO_CUDA_SOURCES", ROOT / "csrc" / "cuda"))
HOST = Path(__file__).parents[1] / "ptx" / "host"
KEPT = ROOT / "build" / "cuda-tests"
ARCHITECTURES = (75, 80, 90)
# Symbolic: a libcudart that torch has loaded must not answer in place of ours.
LINK = ("-shared", "-Wl,-Bsymbolic")


class BuildError(Exception):
    """The compiler's own words."""


@dataclass(frozen=True)
class Built:
    """What came out.

    Attributes:
        folders: one for each source.
        library: the launchers.
    """

    folders: tuple[Path, ...]
    library: Path

    def ptx(self, architecture: int) -> list[Path]:
        return self._files(f"*.compute_{architecture}.ptx")

    def cubins(self, architecture: int) -> list[Path]:
        return self._files(f"*.sm_{architecture}.cubin")

    @property
    def log(self) -> str:
        """What ptxas said, of every source."""
        return "".join(path.read_text() for path in self._files("*.log"))

    def _files(self, pattern: str) -> list[Path]:
        return sorted(path for folder in self.folders for path in folder.glob(pattern))


def nvcc() -> Path | None:
    """The compiler: on the PATH, or below $CUDA_HOME."""
    found = shutil.which("nvcc")
    if not found and (home := os.environ.get("CUDA_HOME")):
        found = shutil.which("nvcc", path=str(Path(home) / "bin"))
    return Path(found) if found else None


def build(sources: Path = SOURCES, kept: Path = KEPT) -> Built:
    """Compile what was not compiled before.

    Raises:
        BuildError: something does not compile.
    """
    kept.mkdir(parents=True, exist_ok=True)
    common = digest(_run([str(nvcc()), "--version"]), ARCHITECTURES)
    units = [*sources.glob("*.cu"), *sources.glob("*.cpp"), *HOST.glob("*.cpp")]
    make = functools.partial(_unit, sources, kept, common)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        folders = tuple(pool.map(make, sorted(units)))
    library = kept / f"launchers-{digest(LINK, *(folder.name for folder in folders))}.so"
    if not library.exists():
        objects = [str(path) for folder in folders for path in folder.glob("*.o")]
        with tempfile.TemporaryDirectory(dir=kept) as name:
            made = Path(name) / library.name
            _run(["g++", *LINK, "-o", str(made), *objects])
            made.replace(library)
    return Built(folders, library)


def digest(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
    return digest.hexdigest()[:16]


def _included(source: Path, sources: Path) -> list[Path]:
    """A source with the headers of ours that it includes, directly or not."""
    found = [source]
    for path in found:
        for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
            header = next(p for p in (path.parent / name, sources / name) if p.exists()).resolve()
            if header not in found:
                found.append(header)
    return found


def _unit(sources: Path, kept: Path, common: str, source: Path) -> Path:
    """Compile one source into a folder of its own."""
    folder = kept / f"{source.stem}-{digest(common, source.name, *_included(source, sources))}"
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=kept) as name:
        made = Path(name) / "made"
        made.mkdir()
        target = ["-c", str(source), "-o", str(made / f"{source.name}.o")]
        base = [str(nvcc()), "-std=c++17", "-Xcompiler", "-fPIC", "-I", str(sources)]
        if source.suffix == ".cu":
            _device([*base, *target], Path(name), made, source.stem)
        else:
            _run([*base, *target])
        # Another process may have been faster: theirs is the same.
        with contextlib.suppress(OSError):
            made.rename(folder)
    return folder


def _device(command: list[str], work: Path, made: Path, stem: str) -> None:
    """PTX and cubin of each architecture, ptxas's figures, the host's object file."""
    codes = []
    for each in ARCHITECTURES:
        codes += ["-gencode", f"arch=compute_{each},code=[compute_{each},sm_{each}]"]
    keep = ["--keep", "--keep-dir", str(work), "-Xptxas", "-v,-warn-spills"]
    (made / f"{stem}.log").write_text(_run([*command, *keep, *codes]))
    for path in [*work.glob("*.ptx"), *work.glob("*.cubin")]:
        shutil.copy(path, made)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr
