"""`torch.export`: the network as a graph; any torch of about the same age runs it.

Loading a program that keeps cnnzoo's operators needs `import cnnzoo.ops` first.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

PORTABLE = False
FACTS = "cnnzoo.json"  # an extra file of the archive


def check() -> None:
    """Nothing is needed beyond torch."""


def write(program: ExportedProgram, path: Path, facts: dict[str, str]) -> None:
    """Write the program, with the facts as JSON in an extra file."""
    buffer = io.BytesIO()  # torch's writer does not say why a disk refused
    torch.export.save(program, buffer, extra_files={FACTS: json.dumps(facts)})
    path.write_bytes(buffer.getbuffer())


def load(path: Path) -> Callable[[Any], Any]:
    """Load the program as a module."""
    run: Callable[[Any], Any] = torch.export.load(path).module()
    return run
