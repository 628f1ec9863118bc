"""The only importer of the compiled library: whether it is there, and if not why.

The environment, read when the library is first asked for:

    CNNZOO_KERNEL=auto, native or reference    what `implementation="auto"` means
    CNNZOO_ISA=avx512, avx2, scalar, ...       these kernels and no others, see `Status.kernels`
    CNNZOO_REQUIRE_NATIVE=1                    a missing library is an error, as in CI
    CNNZOO_NATIVE=0                            not loaded, as if it had never been built
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from cnnzoo.errors import CnnzooError, did_you_mean

KERNELS = ("auto", "native", "reference")
DTYPES = ("float32", "bfloat16")  # what the kernels for the CPU take
PACKAGE = Path(__file__).resolve().parent.parent

_when_changed: list[Callable[[], None]] = []


@dataclass(frozen=True)
class Status:
    """What can be said of the native library, for people and for `cnnzoo doctor`.

    Attributes:
        available: whether it is loaded.
        reason: if not, one sentence that says why.
        isa: the instruction set in use.
        isas: those that are compiled in and that this machine runs, best first.
        build: compiler, C++ standard, flags, and the torch it was built against.
        kernels: dtype → the instruction set whose kernels compute in it. They may differ: AMX, say,
            multiplies bfloat16 and no float32.
    """

    available: bool
    reason: str | None = None
    isa: str | None = None
    isas: tuple[str, ...] = ()
    build: dict[str, str] = field(default_factory=dict)
    kernels: dict[str, str] = field(default_factory=dict)


def status() -> Status:
    """Say whether the native library is in use, and if not why. Never raises.

    >>> status().available or bool(status().reason)
    True
    """
    loaded, reason = _load()
    if loaded is None:
        return Status(available=False, reason=reason)
    try:
        isa = loaded.current_isa()
    except ValueError as error:
        return Status(False, f"{error}.", None, tuple(loaded.isas()), loaded.build_info())
    kernels = {dtype: _kernels(loaded, dtype) for dtype in DTYPES}
    found = {dtype: name for dtype, name in kernels.items() if name}
    return Status(True, None, isa, tuple(loaded.isas()), loaded.build_info(), found)


def library() -> ModuleType | None:
    """Return the loaded library, ready for use, or None.

    Raises:
        CnnzooError: the environment requires the library and it is missing, or asks for an
            instruction set that is not there.
    """
    loaded, reason = _load()
    if loaded is None:
        if os.environ.get("CNNZOO_REQUIRE_NATIVE", "0").strip() not in ("", "0"):
            raise CnnzooError(f"CNNZOO_REQUIRE_NATIVE is set, but {reason}")
        return None
    try:
        loaded.current_isa()
    except ValueError as error:
        raise CnnzooError(f"{error}.") from None
    return loaded


def kernels_for(dtype: str) -> str | None:
    """Return the instruction set whose kernels compute in ``dtype``, or None where there are none.

    Raises:
        CnnzooError: as `library`.
    """
    loaded = library()
    return None if loaded is None or dtype not in DTYPES else _kernels(loaded, dtype)


def set_isa(name: str) -> None:
    """Use another instruction set from now on, in every thread.

    Raises:
        CnnzooError: there is no library, or it or the machine lacks this instruction set.
    """
    loaded, reason = _load()
    if loaded is None:
        raise CnnzooError(f"The instruction set cannot be chosen: {reason}")
    try:
        loaded.set_isa(name)
    except ValueError as error:
        raise CnnzooError(f"{error}.{did_you_mean(name, loaded.isas())}") from None
    for forget in _when_changed:
        forget()


def when_changed(forget: Callable[[], None]) -> None:
    """Have `forget` called whenever choices made so far may be outdated."""
    _when_changed.append(forget)


@functools.cache
def kernel() -> str:
    """What `CNNZOO_KERNEL` asks for: auto, native or reference.

    Raises:
        CnnzooError: it asks for something else.
    """
    name = os.environ.get("CNNZOO_KERNEL", "").strip().lower() or "auto"
    if name not in KERNELS:
        raise CnnzooError(
            f'CNNZOO_KERNEL: expected auto, native or reference, got "{name}".'
            + did_you_mean(name, KERNELS)
        )
    return name


def reload() -> None:
    """Read the environment again; a library once loaded stays in memory."""
    _load.cache_clear()
    kernel.cache_clear()
    for forget in _when_changed:
        forget()


@functools.cache
def _load() -> tuple[ModuleType | None, str | None]:
    """The library and None, or None and one sentence that says why."""
    if os.environ.get("CNNZOO_NATIVE", "1").strip() == "0":
        return None, "the native library is hidden by CNNZOO_NATIVE=0."
    path = _path()
    if path is None:
        return None, _why_not_built()
    import torch  # loads libtorch_cpu, which the library is linked against

    try:
        if _is_cut_short(path):
            raise ImportError("the file is not complete")
        module = importlib.import_module("cnnzoo._C")
    except (ImportError, OSError) as error:
        return None, (
            f"the native library {path.name} does not load with torch {torch.__version__}: "
            f"{str(error).splitlines()[0]}. Installing cnnzoo again builds it anew."
        )
    return module, None


def _kernels(loaded: ModuleType, dtype: str) -> str | None:
    if hasattr(loaded, "kernels_for"):
        return str(loaded.kernels_for(dtype))
    return str(loaded.current_isa()) if dtype == "float32" else None  # built before bfloat16 was


def _path() -> Path | None:
    names = [f"_C{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    return next((PACKAGE / name for name in names if (PACKAGE / name).is_file()), None)


def _why_not_built() -> str:
    try:
        report: dict[str, Any] = json.loads((PACKAGE / "_native_build.json").read_text())
        reason = report["reason"]
    except (OSError, ValueError, KeyError):
        reason = None
    if reason:
        return f"the native library was not built: {reason}."
    return "the native library was not built for this Python. Installing cnnzoo again builds it."


def _is_cut_short(path: Path) -> bool:
    """Whether an ELF file ends before its segments: loading it would be a SIGBUS, not an error."""
    length = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:6] != b"\x7fELF\x02\x01" or length < 64:
        return length < 64
    (table,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    if table + size * count > len(head):
        return length < table + size * count
    segments = [struct.unpack_from("<IIQQQQ", head, table + size * i) for i in range(count)]
    return any(offset + in_file > length for _, _, offset, _, _, in_file in segments)
