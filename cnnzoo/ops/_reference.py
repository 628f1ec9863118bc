"""The operators in plain PyTorch: obvious, any device, any floating dtype.

`compose` serves ordinary calls. The others are the operators' kernels: they keep the same things
and return the same layouts as the native ones, so that one graph of operators runs on every
machine. They serve compiled and exported programs, and the binding for what it does not cover.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

Ints: TypeAlias = tuple[int, ...] | list[int]

_FASTER_IN_CHANNELS_LAST = (torch.float32, torch.bfloat16, torch.float16)
DEAD = 255  # the place of an output that passes no gradient, since it is 0


def compose(
    x: Tensor, weight: Tensor, bias: Tensor | None, conv: tuple[Any, ...], pool: tuple[Any, ...]
) -> Tensor:
    """What runs where native code does not: PyTorch's layers, with the ReLU after the pool.

    The same numbers as with the ReLU before it, which is monotonic, for a quarter of its work. On
    the CPU a channels_last weight makes all of it run in that layout, 1.5 to 6 times faster.
    """
    if weight.device.type == "cpu" and weight.dtype in _FASTER_IN_CHANNELS_LAST:
        # A clone: `contiguous` returns the weight of one channel as it is, and NCHW stays.
        dense = weight.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)
        weight = dense.permute(0, 3, 1, 2)  # (K, C, R, S) again, in memory (K, R, S, C)
    return torch.relu(torch.max_pool2d(torch.conv2d(x, weight, bias, *conv), *pool))


def forward(x: Tensor, weight: Tensor, bias: Tensor | None, window: Ints) -> Tensor:
    """The formula itself: (N, C, H, W) → (N, K, P, Q)."""
    conv = F.conv2d(x, weight, bias, window[0:2], window[2:4])
    return _dense(F.relu(F.max_pool2d(conv, window[4:6], window[6:8], window[8:10])))


def forward_train(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Ints
) -> tuple[Tensor, Tensor]:
    """As `forward`, with the place of each maximum in its pool window: row * pool_w + column."""
    *_, pool_h, pool_w, step_h, step_w, edge_h, edge_w = window
    if pool_h * pool_w >= DEAD:
        raise ValueError(f"a place has one byte, too little for a {pool_h}x{pool_w} pool")
    conv = F.conv2d(x, weight, bias, window[0:2], window[2:4])
    pooled, index = F.max_pool2d(
        conv, (pool_h, pool_w), (step_h, step_w), (edge_h, edge_w), return_indices=True
    )  # index: row * columns + column in the convolution's output
    rows, columns = _corners(index, window)
    place = (index // conv.shape[3] - rows) * pool_w + index % conv.shape[3] - columns
    y = F.relu(pooled)
    return _dense(y), _dense(place.masked_fill(y <= 0, DEAD).to(torch.uint8))


def backward(
    grad_y: Tensor,
    x: Tensor,
    weight: Tensor,
    place: Tensor,
    window: Ints,
    need_x: bool,
    need_weight: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias; those that nobody needs are empty."""
    stride, padding = window[0:2], window[2:4]
    size_h = (x.shape[2] + 2 * padding[0] - weight.shape[2]) // stride[0] + 1
    size_w = (x.shape[3] + 2 * padding[1] - weight.shape[3]) // stride[1] + 1

    rows, columns = _corners(place, window)
    position = place.long()
    index = (rows + position // window[5]) * size_w + columns + position % window[5]
    dead = place == DEAD
    grad = torch.zeros(*place.shape[:2], size_h * size_w, dtype=x.dtype, device=x.device)
    grad.scatter_add_(
        2, index.masked_fill(dead, 0).flatten(2), grad_y.masked_fill(dead, 0).flatten(2)
    )  # adds: overlapping pools share positions
    grad = grad.unflatten(2, (size_h, size_w))  # (N, K, rows, columns) of the convolution

    none = x.new_empty(0)
    grad_x, grad_weight, grad_bias = none, none.clone(), none.clone()
    if need_x:
        grad_x = _dense(conv2d_input(x.shape, weight, grad, stride, padding))
    if need_weight:
        grad_weight = conv2d_weight(x, weight.shape, grad, stride, padding)
        grad_weight = grad_weight.contiguous()
        grad_bias = grad.sum((0, 2, 3))
    return grad_x, grad_weight, grad_bias


def _corners(pooled: Tensor, window: Ints) -> tuple[Tensor, Tensor]:
    """First row and column of each pool window; negative where it begins in the padding."""
    step_h, step_w, edge_h, edge_w = window[6:10]
    rows = torch.arange(pooled.shape[2], device=pooled.device) * step_h - edge_h
    columns = torch.arange(pooled.shape[3], device=pooled.device) * step_w - edge_w
    return rows[:, None], columns


def _dense(tensor: Tensor) -> Tensor:
    """A channels_last tensor with the very strides of a new one, whatever its sizes."""
    new = torch.empty(
        tensor.shape, dtype=tensor.dtype, device=tensor.device, memory_format=torch.channels_last
    )
    return tensor if tensor.stride() == new.stride() else new.copy_(tensor)
