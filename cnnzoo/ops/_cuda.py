"""The only importer of the CUDA library: whether it is there, what it covers, and if not why.

The environment, read when the library is first asked for:

    CNNZOO_CUDA=1    loaded even where torch finds no GPU, so that it can be looked at
    CNNZOO_CUDA=0    not loaded, as if it had never been built

Nothing is known of its speed: `implementation="auto"` takes it only where a table of choices, made
on that GPU, says so. See `cnnzoo.ops._choice`.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
from types import ModuleType

import torch
from torch import Tensor

from cnnzoo.ops import _native
from cnnzoo.ops._casting import cast

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def library() -> ModuleType | None:
    """The library, loaded: its kernels then serve the operators on CUDA. None where it is not."""
    return _load()[0]


def why_not(dtype: torch.dtype, sizes: tuple[int, ...]) -> str | None:
    """None, or one sentence that says why the CUDA kernels cannot run this.

    Args:
        dtype: of the computation.
        sizes: N, C, H, W, K, R, S and the ten fields of `Window`.
    """
    if dtype not in DTYPES:
        name = str(dtype).removeprefix("torch.")
        return f"CUDA kernels take float32, bfloat16 and float16, got {name}."
    loaded, reason = _load()
    if loaded is None:
        return f"The CUDA kernels are not there: {reason}."
    refusal: str | None = loaded.covers(sizes)
    return None if refusal is None else f"{refusal}."


def ready(
    x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor | None]:
    """As `cast`, and torch's wish about TF32 passed on.

    torch keeps `torch.backends.cudnn.conv.fp32_precision` where its stable ABI does not reach.
    """
    if dtype == torch.float32:
        follow_tf32()
    return cast(x, weight, bias, dtype)


def follow_tf32() -> None:
    """Let float32 be cut to TF32 from now on exactly where torch's convolutions may."""
    loaded = library()
    if loaded is not None:
        conv = torch.backends.cudnn.conv  # type: ignore[attr-defined]
        loaded.set_allow_tf32(conv.fp32_precision == "tf32")


@functools.cache
def _load() -> tuple[ModuleType | None, str | None]:
    """The library and None, or None and the reason."""
    wanted = os.environ.get("CNNZOO_CUDA", "").strip()
    if wanted == "0" or os.environ.get("CNNZOO_NATIVE", "1").strip() == "0":
        return None, "they are hidden by the environment"
    if wanted != "1" and not torch.cuda.is_available():
        return None, "torch finds no GPU"
    if not any(_native.PACKAGE.glob("_C_cuda.*")):
        return None, _why_not_built()
    try:
        return importlib.import_module("cnnzoo._C_cuda"), None
    except (ImportError, OSError) as error:
        return (
            None,
            f"they do not load with torch {torch.__version__}: {str(error).splitlines()[0]}",
        )


def _why_not_built() -> str:
    try:
        reason = json.loads((_native.PACKAGE / "_native_build.json").read_text())["cuda_reason"]
    except (OSError, ValueError, KeyError):
        reason = None
    return f"they were not built, since {reason or 'nobody asked for them'}"


_native.when_changed(_load.cache_clear)
