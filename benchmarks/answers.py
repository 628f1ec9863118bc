"""The right answers in float64, and the refusal of whoever gives others.

Every candidate is judged by the very call that is timed afterwards. Inputs are normal and weights
Kaiming-normal, so outputs are near 1. The gradient that comes in is 0 where a pool window has no
clear winner (two largest values, or the largest and 0, within `NEAR`): there float32 may rightly
pick another place than float64, and everywhere else the gradients can be compared value by value.

    float32    |error| ≤ 1e-4 · max(1, largest value), for the output and each gradient
    bfloat16   ‖error‖ ≤ 0.02 · ‖answer‖ for the output, 0.2 for gradients: it has 8 bits, and picks
               another place in one window of a hundred
    networks   ‖error‖ ≤ 0.005 · ‖answer‖ in float32, as their windows have no such care taken
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.workloads import Layer

NEAR = 1e-4
FLOAT32 = 1e-4
BFLOAT16_OUTPUT, BFLOAT16_GRADIENT = 0.02, 0.2
NETWORK = 0.005


class WrongAnswerError(AssertionError):
    """A candidate computes something else: it is refused, not timed."""


@dataclass(frozen=True)
class Problem:
    """Inputs of a layer, contiguous float32; and its answers where they were asked for."""

    layer: Layer
    x: Tensor
    weight: Tensor
    bias: Tensor
    grad_y: Tensor
    answers: tuple[Tensor, ...] = ()  # y, grad_weight, grad_bias[, grad_x], float64


def unjudged(layer: Layer) -> Problem:
    """Draw the inputs of ``layer``, always the same ones."""
    draw = torch.Generator().manual_seed(0)
    fan_in = layer.channels * layer.kernel**2
    return Problem(
        layer,
        torch.randn(layer.x_shape, generator=draw),
        torch.randn(layer.weight_shape, generator=draw) * math.sqrt(2 / fan_in),
        torch.randn(layer.filters, generator=draw) * 0.1,
        torch.randn(layer.y_shape, generator=draw),
    )


@functools.lru_cache(maxsize=1)  # inference and training of a layer follow one another
def judged(layer: Layer) -> Problem:
    """The same with the answers, and without a gradient where there is no clear winner."""
    raw = unjudged(layer)
    leaves = [raw.weight, raw.bias] + ([] if layer.opens else [raw.x])
    leaves = [leaf.double().requires_grad_() for leaf in leaves]
    weight, bias = leaves[:2]
    x = raw.x.double() if layer.opens else leaves[2]

    conv = F.conv2d(x, weight, bias, layer.stride, layer.padding)  # (N, K, H', W')
    y = F.max_pool2d(F.relu(conv), layer.pool, layer.pool_stride, layer.pool_padding)
    grad_y = raw.grad_y * _clear_winner(conv.detach(), layer)
    grads = torch.autograd.grad(y, leaves, grad_y.double())
    return Problem(layer, raw.x, raw.weight, raw.bias, grad_y, (y.detach(), *grads))


def check(
    name: str,
    given: Sequence[Tensor],
    answers: Sequence[Tensor],
    relative: Sequence[float] = (),
) -> None:
    """Raise `WrongAnswerError` unless ``given`` are the answers.

    Args:
        name: of the candidate, for the message.
        given: y, or y and gradients.
        answers: float64, at least as many.
        relative: tolerances of norms, one for each of ``given``; empty: float32, value by value.
    """
    for index, (got, right) in enumerate(zip(given, answers, strict=False)):
        what = "output" if index == 0 else f"gradient {index}"
        if got.shape != right.shape:
            raise WrongAnswerError(
                f"{name}: {what} has shape {tuple(got.shape)}, not {right.shape}."
            )
        error = got.detach().double() - right
        if relative:
            size, limit = (error.norm() / right.norm()).item(), relative[index]
        else:
            size = error.abs().max().item()
            limit = FLOAT32 * max(1.0, right.abs().max().item())
        if not size <= limit:  # so that NaN is refused
            raise WrongAnswerError(
                f"{name}: {what} is off by {size:.2g}, at most {limit:.2g} may be."
            )


def _clear_winner(conv: Tensor, layer: Layer) -> Tensor:
    """1 where a window's largest value is ahead of the second and of 0, else 0."""
    edge = (layer.pool_padding,) * 4
    padded = F.pad(conv, edge, value=-math.inf)
    windows = padded.unfold(2, layer.pool, layer.pool_stride)
    windows = windows.unfold(3, layer.pool, layer.pool_stride).flatten(4)  # (N, K, P, P, window)
    first, second = windows.topk(2, dim=-1).values.unbind(-1)
    clear = (first - second > NEAR) & (first.abs() > NEAR)
    return clear.float()  # (N, K, P, P)
