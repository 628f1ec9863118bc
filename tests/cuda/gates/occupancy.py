"""How many threads of a kernel fit on a multiprocessor, by the toolkit's own formulas."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gates.build import KEPT, BuildError, digest, nvcc

SOURCE = Path(__file__).with_suffix(".cpp")


@dataclass(frozen=True)
class Launch:
    """A kernel's launch, as far as it decides who fits."""

    architecture: int
    registers: int
    threads: int
    static: int
    dynamic: int


def occupancy(launches: Sequence[Launch]) -> list[float]:
    """Threads on a multiprocessor over threads that it could hold.

    Raises:
        BuildError: `occupancy.cpp` does not compile, or does not know an architecture.
    """
    lines = [
        f"{each.architecture} {each.registers} {each.threads} {each.static} {each.dynamic}"
        for each in launches
    ]
    done = subprocess.run([_program()], input="\n".join(lines), capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"occupancy.cpp: exit code {done.returncode} for {lines}")
    found = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    return [
        blocks * launch.threads / most
        for launch, (blocks, most) in zip(launches, found, strict=True)
    ]


def _program() -> Path:
    program = KEPT / f"occupancy-{digest(SOURCE)}"
    if not program.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as name:
            made = Path(name) / "occupancy"
            command = [str(nvcc()), "-std=c++17", "-cudart", "none", str(SOURCE), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise BuildError(done.stdout + done.stderr)
            made.replace(program)
    return program
