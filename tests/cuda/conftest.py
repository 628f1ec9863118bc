"""The compiled kernels, once a session; without nvcc their tests are skipped by name.

CNNZOO_REQUIRE_NVCC=1, as CI sets it, makes a missing nvcc a failure.
"""

from __future__ import annotations

import os

import ptx
import pytest
from gates import build


@pytest.fixture(scope="session")
def built() -> build.Built:
    """PTX, cubins and launchers of csrc/cuda."""
    require_nvcc()
    return build.build()


@pytest.fixture(scope="session")
def kernels(built):
    """Architecture → name → kernel, parsed once."""
    found = {}

    def of(architecture: int) -> dict[str, ptx.parser.Kernel]:
        if architecture not in found:
            texts = [path.read_text() for path in built.ptx(architecture)]
            found[architecture] = {k: v for text in texts for k, v in ptx.parse(text).items()}
        return found[architecture]

    return of


def require_nvcc() -> None:
    """Skip, or fail where it is required, without nvcc."""
    if build.nvcc() is None:
        why = "needs nvcc, which is neither on the PATH nor below $CUDA_HOME"
        if os.environ.get("CNNZOO_REQUIRE_NVCC", "0") not in ("", "0"):
            pytest.fail(f"CNNZOO_REQUIRE_NVCC is set, but this {why}")
        pytest.skip(why)
