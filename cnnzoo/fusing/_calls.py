"""What a rewritten forward calls: the operator with a batch norm folded in, and the old layout.

Where the operator does not take what came (one image instead of a batch, a `ceil_mode` that adds a
row at this size), PyTorch's own operations run. The folding is done in every call, from the
weights as they are: it costs some ten microseconds, and weights loaded later are seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from cnnzoo.layers import count_windows
from cnnzoo.ops import conv_relu_maxpool

Pair = tuple[int, int]
_Call = TypeVar("_Call", bound=Callable[..., Tensor])


def _one_node(function: _Call) -> _Call:
    """Have torch.fx write a call down as it is: a fused model can be traced in its turn."""

    @functools.wraps(function)
    def call(x: Any, *args: Any) -> Any:
        if isinstance(x, fx.Proxy):
            return x.tracer.create_proxy("call_function", call, (x, *args), {})
        return function(x, *args)

    return cast(_Call, call)


@_one_node
def fused(
    x: Tensor, weight: Tensor, bias: Tensor | None, conv: tuple, pool: tuple, ceil_mode: bool
) -> Tensor:
    """Compute conv → ReLU → max-pool, with the operator where it takes ``x``.

    Args:
        x: images, (N, C, H, W) or (C, H, W).
        weight: (K, C / groups, R, S).
        bias: (K,), or None.
        conv: stride, padding, dilation, groups.
        pool: window, stride, padding.
        ceil_mode: of the pool.
    """
    if x.dim() != 4 or (ceil_mode and ceil_adds((x.shape[2], x.shape[3]), weight, conv, pool)):
        y = F.relu(F.conv2d(x, weight, bias, *conv))
        window, step, pad = pool
        return F.max_pool2d(y, window, step, pad, ceil_mode=ceil_mode)
    stride, padding, dilation, groups = conv
    return conv_relu_maxpool(
        x,
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        pool_size=pool[0],
        pool_stride=pool[1],
        pool_padding=pool[2],
    )


@_one_node
def fused_with_batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    norm: tuple[Tensor, Tensor, float, Tensor | None, Tensor | None],
    conv: tuple,
    pool: tuple,
    ceil_mode: bool,
) -> Tensor:
    """Compute conv → batch norm in eval mode → ReLU → max-pool.

    Args:
        x: as for `fused`, as are the others.
        weight: of the convolution.
        bias: of the convolution.
        norm: running mean and variance, eps, weight, bias of the batch norm.
        conv: as for `fused`.
        pool: as for `fused`.
        ceil_mode: of the pool.
    """
    mean, variance, eps, scale, shift = norm
    # torch.nn.utils.fusion does the same, but cuts the gradient off
    gain = torch.rsqrt(variance + eps) * (1 if scale is None else scale)
    folded = (0 if shift is None else shift) + ((0 if bias is None else bias) - mean) * gain
    return fused(x, weight * gain[:, None, None, None], folded, conv, pool, ceil_mode)


def ceil_adds(size: Pair, weight: Tensor, conv: tuple, pool: tuple) -> bool:
    """Whether `ceil_mode` gives more rows or columns than rounding down, for (H, W) = ``size``."""
    stride, padding, dilation, _ = conv
    kernel = (weight.shape[2], weight.shape[3])
    convolved = count_windows(size, kernel, stride, padding, dilation)
    for n, window, step, pad in zip(convolved, *pool, strict=True):
        down = (n + 2 * pad - window) // step + 1
        # torch drops a window that would start in the padding behind
        if (n + 2 * pad - window) % step and down * step < n + pad:
            return True
    return False


@_one_node
def old_layout(y: Tensor, source: Tensor) -> Tensor:
    """Return ``y`` as it would lie in memory had nothing been fused: a `view` may follow.

    Args:
        y: what comes of a fused site.
        source: what went into it; where that is contiguous, PyTorch's layers give contiguous.
    """
    return y.contiguous() if source.is_contiguous() else y
