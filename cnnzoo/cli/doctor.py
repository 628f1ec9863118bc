"""``cnnzoo doctor``: what is installed here, and what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import click

from cnnzoo.cli._output import json_option, print_json, print_table

_PACKAGES = ("cnnzoo", "torch", "torchvision", "numpy", "Pillow", "safetensors", "scikit-learn")
_EXAMPLES = """\b
Examples:
  cnnzoo doctor
  cnnzoo doctor --json
"""


@click.command(epilog=_EXAMPLES)
@json_option
def command(as_json: bool) -> None:
    """Show versions, threads, devices, and whether native code is built (and if not, why)."""
    import torch

    from cnnzoo.machine import cpu_model

    report = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in _PACKAGES},
        "cpu": cpu_model(),
        "cpu cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        **_native_library(),
    }
    if as_json:
        print_json(report)
    else:
        print_table(["what", "here"], report.items())


def _native_library() -> dict[str, str]:
    from cnnzoo.ops import _native, _tables

    native = _native.status()
    return {
        "native code": "in use" if native.available else f"not in use: {native.reason}",
        "instruction set": native.isa or "none",
        "instruction sets here": ", ".join(native.isas) or "none",
        **{
            f"kernels for {dtype}": f"{isa}, chosen by table"
            if _tables.table(_tables.table_name(isa, dtype))
            else f"{isa}, used where asked for: nothing was measured, see cnnzoo tune"
            for dtype, isa in native.kernels.items()
        },
        **{f"built: {key}": str(value) for key, value in native.build.items()},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
