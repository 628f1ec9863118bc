"""The CUDA toolkit as the build finds it; tests that need it skip by name without it.

CNNZOO_REQUIRE_NVCC=1, as CI sets it, makes a missing toolkit a failure. The emulated tests need the
toolkit's headers alone, which pip has, too (nvidia-cuda-cccl, -crt, -runtime).
"""

import importlib.util
import os
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADERS = ("cuda_fp16.h", "cuda_runtime_api.h", "crt/host_defines.h", "nv/target")


def setup_py():
    """Import setup.py, which sets nothing up unless it is the program."""
    spec = importlib.util.spec_from_file_location("cuda_setup_py", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def required_toolkit():
    """Return the toolkit, or skip, or fail where it is required."""
    found = setup_py().find_toolkit()
    if found is None:
        why = "needs a CUDA toolkit: nvcc on the PATH, or CUDA_HOME"
        if os.environ.get("CNNZOO_REQUIRE_NVCC", "0") not in ("", "0"):
            pytest.fail(f"CNNZOO_REQUIRE_NVCC is set, but this {why}")
        pytest.skip(why)
    return found


def folder_of_headers():
    """Return the folder whose ``include`` has CUDA's headers: the toolkit's, else pip's."""
    found = setup_py().find_toolkit()
    if found is not None:
        return found.root
    for folder in sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/cu*")):
        if all((folder / "include" / name).exists() for name in HEADERS):
            return folder
    return required_toolkit().root  # skips, or fails where it is required
