"""Layers to run the kernels on, and the right answers in float64.

The convolution is torch's in float64. What comes after is written out: rounding to the storage
type, the maximum position by position, the place, and the gradient at the place alone.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

DEAD = 255
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Layer:
    """A convolution with its pool; pairs are (h, w)."""

    n: int
    c: int
    h: int
    w: int
    k: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pool: tuple[int, int] = (2, 2)
    pool_stride: tuple[int, int] = (2, 2)
    pool_padding: tuple[int, int] = (0, 0)
    bias: bool = True
    layout: str = "nchw"  # of x and grad_y: nchw, nhwc, sliced

    @property
    def geometry(self) -> tuple[int, ...]:
        """As `entry.cpp` takes it."""
        return (self.n, self.c, self.h, self.w, self.k, *self.kernel, *self.stride, *self.padding,
                *self.pool, *self.pool_stride, *self.pool_padding)  # fmt: skip

    @property
    def conv(self) -> tuple[int, int]:
        sizes = zip((self.h, self.w), self.kernel, self.stride, self.padding, strict=True)
        h, w = ((size + 2 * p - k) // s + 1 for size, k, s, p in sizes)
        return h, w

    @property
    def pooled(self) -> tuple[int, int]:
        sizes = zip(self.conv, self.pool, self.pool_stride, self.pool_padding, strict=True)
        p, q = ((size + 2 * e - k) // s + 1 for size, k, s, e in sizes)
        return p, q


@dataclass
class Problem:
    """Inputs as the storage type holds them, and answers; all float64, NCHW."""

    layer: Layer
    dtype: str
    x: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    grad_y: torch.Tensor
    y: torch.Tensor
    place: NDArray[np.uint8]  # (N, K, P, Q)
    grad_x: torch.Tensor
    grad_weight: torch.Tensor
    grad_bias: torch.Tensor


@functools.lru_cache(maxsize=64)
def problem(layer: Layer, dtype: str, data: str, seed: int = 0) -> Problem:
    """Draw the inputs of a layer, and compute.

    Args:
        layer: its sizes.
        dtype: of storage.
        data: "integers", small ones, whose sums every type holds exactly until they are stored;
            "reals"; or "nan", integers with a NaN and infinities at corners of x.
        seed: of the draw.
    """
    draw = torch.Generator().manual_seed(seed)

    def values(*shape: int, scale: float = 1.0) -> torch.Tensor:
        if data == "reals":
            drawn = torch.randn(shape, generator=draw) * scale
        else:
            drawn = torch.randint(-2, 3, shape, generator=draw).float()
        return drawn.to(DTYPES[dtype]).double()

    x = values(layer.n, layer.c, layer.h, layer.w)
    if data == "nan":
        x[0, 0, 0, 0], x[0, 0, 0, -1], x[-1, -1, -1, -1] = torch.nan, -torch.inf, torch.inf
    fan_in = layer.c * layer.kernel[0] * layer.kernel[1]
    weight = values(layer.k, layer.c, *layer.kernel, scale=fan_in**-0.5)
    bias = values(layer.k) if layer.bias else None
    grad_y = values(layer.n, layer.k, *layer.pooled)
    return _solved(layer, dtype, x, weight, bias, grad_y)


def _solved(layer, dtype, x, weight, bias, grad_y) -> Problem:
    x.requires_grad_()
    weight.requires_grad_()
    conv = F.conv2d(x, weight, bias, layer.stride, layer.padding)
    stored = conv.detach().to(DTYPES[dtype]).double().numpy()
    value, place = _maximum(layer, stored)
    grad_conv = _scatter(layer, grad_y.numpy(), place, stored.shape)
    # Only where a gradient flows: 0 * inf elsewhere would be NaN.
    flows = _scatter(layer, np.ones_like(value), place, stored.shape) > 0
    grad_x, grad_weight = _gradients(layer, x.detach(), weight.detach(), grad_conv, flows)
    return Problem(
        layer, dtype, x.detach(), weight.detach(), bias, grad_y, torch.from_numpy(value), place,
        grad_x, grad_weight, torch.from_numpy(grad_conv.sum((0, 2, 3))),
    )  # fmt: skip


def _positions(layer: Layer, p: int, q: int):
    """Positions of a window inside the convolution's output: (place, row, column)."""
    for a in range(layer.pool[0]):
        for b in range(layer.pool[1]):
            i = p * layer.pool_stride[0] - layer.pool_padding[0] + a
            j = q * layer.pool_stride[1] - layer.pool_padding[1] + b
            if 0 <= i < layer.conv[0] and 0 <= j < layer.conv[1]:
                yield a * layer.pool[1] + b, i, j


def _maximum(layer: Layer, conv: NDArray) -> tuple[NDArray, NDArray]:
    """ReLU and maximum: the first of equals, the last NaN."""
    value = np.zeros((layer.n, layer.k, *layer.pooled))
    place = np.full(value.shape, DEAD, np.uint8)
    for p in range(layer.pooled[0]):
        for q in range(layer.pooled[1]):
            best, at = value[:, :, p, q], place[:, :, p, q]
            for number, i, j in _positions(layer, p, q):
                here = conv[:, :, i, j]
                wins = (here > best) | np.isnan(here)
                best[wins], at[wins] = here[wins], number
    return value, place


def _scatter(layer: Layer, grad_y: NDArray, place: NDArray, shape: tuple[int, ...]) -> NDArray:
    grad = np.zeros(shape)
    for p in range(layer.pooled[0]):
        for q in range(layer.pooled[1]):
            for number, i, j in _positions(layer, p, q):
                won = place[:, :, p, q] == number
                grad[:, :, i, j] += np.where(won, grad_y[:, :, p, q], 0)
    return grad


def _gradients(layer, x, weight, grad_conv, flows) -> tuple[torch.Tensor, torch.Tensor]:
    """Of x, and of weight: there an infinite x meets only gradients that flow."""
    grad = torch.from_numpy(grad_conv)
    clean = torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0).requires_grad_()
    w = weight.clone().requires_grad_()
    conv = F.conv2d(clean, w, None, layer.stride, layer.padding)
    grad_x, grad_weight = torch.autograd.grad(conv, (clean, w), grad)
    if bool(torch.isfinite(x).all()):
        return grad_x, grad_weight
    padded = F.pad(x, (layer.padding[1],) * 2 + (layer.padding[0],) * 2).numpy()
    total = np.zeros(tuple(weight.shape))
    with np.errstate(invalid="ignore"):
        for n, k, i, j in np.argwhere(flows):
            h, w_ = i * layer.stride[0], j * layer.stride[1]
            patch = padded[n, :, h : h + layer.kernel[0], w_ : w_ + layer.kernel[1]]
            total[k] += grad_conv[n, k, i, j] * patch
    return grad_x, torch.from_numpy(total)
