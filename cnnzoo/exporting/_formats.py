"""Which format a path means.

`.pt2` is the suffix of two: `torch.export` programs, and the packages of AOTInductor. The latter
are meant by a name that ends in `.aoti.pt2`, or by `format="aoti"`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from cnnzoo.errors import CnnzooError, did_you_mean

if TYPE_CHECKING:
    from torch.export import ExportedProgram

SUFFIXES = {"pt2": ".pt2", "aoti": ".pt2", "onnx": ".onnx"}
_RULE = (
    ".pt2 is a torch.export program, .aoti.pt2 an AOTInductor package, .onnx ONNX; "
    "or say format= (--format)."
)


class Format(Protocol):
    """What a module ``format_NAME.py`` has."""

    PORTABLE: bool  # it can hold ATen only

    def check(self) -> None:
        """Raise a `CnnzooError` if something is missing that the format needs."""

    def write(self, program: ExportedProgram, path: Path, facts: dict[str, str]) -> None:
        """Write a program to a file, which may exist and be empty."""

    def load(self, path: Path) -> Callable[[Any], Any]:
        """Load the file as others do; return what maps an input to the outputs."""


def format_of(path: Path, name: str | None) -> str:
    """Return the format that a path means, or the one that was asked for by name.

    Raises:
        CnnzooError: an unknown suffix or format, or a suffix of another format.

    >>> format_of(Path("net.pt2"), None), format_of(Path("net.aoti.pt2"), None)
    ('pt2', 'aoti')
    """
    suffix = path.suffix.lower()
    if name is None:
        if suffix == ".pt2":
            return "aoti" if path.stem.lower().endswith(".aoti") else "pt2"
        if suffix == ".onnx":
            return "onnx"
        raise CnnzooError(
            f'{path} ends in "{path.suffix}", which is no format to export to: {_RULE}'
        )
    if name not in SUFFIXES:
        raise CnnzooError(
            f"format={name!r}: expected {', '.join(SUFFIXES)}.{did_you_mean(str(name), SUFFIXES)}"
        )
    if suffix != SUFFIXES[name]:
        raise CnnzooError(
            f'format={name!r} is written to a file that ends in "{SUFFIXES[name]}"; got {path}.'
        )
    return name


def find(name: str) -> Format:
    """Import the module of a format."""
    return cast(Format, importlib.import_module(f"cnnzoo.exporting.format_{name}"))
