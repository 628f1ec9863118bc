"""From the dtype of the tensors to that of the computation, as autocast asks for it."""

from __future__ import annotations

import torch
from torch import Tensor


def cast(
    x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The three in ``dtype``; autograd takes their gradients back to the dtype they came in."""
    return x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
