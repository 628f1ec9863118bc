"""Arrays inside JSON: the shape beside the bytes in base64, as little-endian as browsers are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError


def pack(values: Tensor) -> dict[str, Any]:
    """Return shape and bytes: uint8 stays, everything else becomes float32.

    >>> pack(torch.tensor([[1, 2]], dtype=torch.uint8))
    {'shape': [1, 2], 'data': 'AQI='}
    """
    values = values.detach().cpu()
    if values.dtype != torch.uint8:
        values = values.float()
    numbers = values.contiguous().numpy()
    raw = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes()
    return {"shape": list(values.shape), "data": base64.b64encode(raw).decode("ascii")}


def unpack_bytes(data: object, shape: Sequence[int]) -> Tensor:
    """Read uint8 values of a known shape from base64.

    Raises:
        CnnzooError: no base64, or another number of bytes.

    >>> unpack_bytes("AQI=", (1, 2))
    tensor([[1, 2]], dtype=torch.uint8)
    """
    try:
        raw = base64.b64decode(data, validate=True) if isinstance(data, str) else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != prod(shape):
        raise CnnzooError(
            f"Expected the pixels {tuple(shape)} as base64, {prod(shape)} bytes; got {len(raw)}."
        )
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(tuple(shape))
