"""AOTInductor: the network compiled to a library, for Python and C++ without Python.

It is for the processor it was compiled on, or one with the same instruction sets. Compiling takes
seconds to a minute, and a C++ compiler.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from cnnzoo.errors import CnnzooError
from cnnzoo.exporting._comparing import brief
from cnnzoo.exporting._quiet import quiet

PORTABLE = False


def check() -> None:
    """Raise a `CnnzooError` if there is no compiler."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")  # as torch does
    if shutil.which(name) is None:
        raise CnnzooError(
            f"An AOTInductor package needs a C++ compiler, and there is no {name}: install it or "
            "set CXX. The formats pt2 and onnx need none."
        )


def write(program: ExportedProgram, path: Path, facts: dict[str, str]) -> None:
    """Compile and write; the facts are the package's metadata."""
    buffer = io.BytesIO()  # torch's writer does not say why a disk refused
    try:
        with quiet("torch.utils.cpp_extension"):  # it looks for a GPU
            torch._inductor.aoti_compile_and_package(
                program,
                package_path=buffer,
                inductor_configs={"aot_inductor.metadata": facts},
            )
    except OSError:
        raise
    except Exception as error:
        raise CnnzooError(f"AOTInductor cannot compile this model: {brief(error)}") from error
    path.write_bytes(buffer.getbuffer())


def load(path: Path) -> Callable[[Any], Any]:
    """Load the library."""
    run: Callable[[Any], Any] = torch._inductor.aoti_load_package(str(path))
    return run
