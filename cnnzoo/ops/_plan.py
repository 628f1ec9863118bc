"""What has to be found out before a call, once for the same shapes: are they right, who runs them.

A look-up costs 1.5 µs, all the checks and the choice 17.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _choice, _geometry, _native
from cnnzoo.ops._geometry import Window


class Plan(NamedTuple):
    """The outcome: what the operators and PyTorch's layers are called with."""

    native: bool
    training: bool
    window: tuple[int, ...]  # no longer a `Window`: a named tuple costs torch 0.6 µs more
    conv: tuple[Any, ...]  # stride, padding, dilation, groups
    pool: tuple[Any, ...]  # size, stride, padding
    choice: _choice.Choice | None = None
    cast: torch.dtype | None = None  # what native kernels compute in; None: what the tensors have


def make_plan(
    window: Window,
    dilation: tuple[int, int],
    groups: int,
    *,
    training: bool,
    choice: _choice.Choice | None = None,
) -> Plan:
    """Put a plan together; without a choice it is one for the reference."""
    win = tuple(window)
    native = choice is not None and choice.implementation == "native"
    conv = (win[0:2], win[2:4], dilation, groups)
    return Plan(native, training, win, conv, (win[4:6], win[6:8], win[8:10]), choice)


def needs_grad(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether autograd will want a gradient of this call."""
    return torch.is_grad_enabled() and (
        x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    )


def plan_for(
    x: Tensor, weight: Tensor, bias: Tensor | None, sizes: tuple, implementation: str
) -> Plan:
    """Check the arguments and decide, or remember what was decided for their like.

    Raises:
        CnnzooError: as `conv_relu_maxpool`.
    """
    autocast = None
    if torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled(x.device.type):
        autocast = torch.get_autocast_dtype(x.device.type)
    try:
        tensors = (
            (x.shape, x.dtype, x.device, x.layout, weight.shape, weight.dtype, weight.device),
            None if bias is None else (bias.shape, bias.dtype, bias.device),
        )
        training = needs_grad(x, weight, bias)
    except AttributeError:
        for name, value in (("x", x), ("weight", weight), ("bias", bias)):
            if not isinstance(value, Tensor) and not (name == "bias" and value is None):
                raise CnnzooError(
                    f"{name}: expected a torch.Tensor, got {type(value).__name__}."
                ) from None
        raise
    try:
        return _plan(tensors, sizes, implementation, training, autocast)
    except TypeError:  # a list among the sizes, which no cache can look up
        return _plan.__wrapped__(tensors, sizes, implementation, training, autocast)


def check_dtype(name: str, dtype: torch.dtype, of_x: torch.dtype, autocast: bool) -> None:
    """Check that a weight or bias has the dtype of x, or that autocast gives it the same.

    Raises:
        CnnzooError: it does not.
    """
    casts = autocast and torch.float64 not in (dtype, of_x)  # which autocast leaves alone
    if dtype != of_x and not (casts and dtype.is_floating_point):
        raise CnnzooError(f"{name}: expected {of_x}, the dtype of x; got {dtype}.")


@functools.lru_cache(maxsize=4096)
def _plan(
    tensors: tuple,
    sizes: tuple,
    implementation: str,
    training: bool,
    autocast: torch.dtype | None,
) -> Plan:
    (x, dtype, device, layout, weight, *of_weight), of_bias = tensors
    if not isinstance(dtype, torch.dtype):
        raise CnnzooError("x: expected a torch.Tensor, got an array of another kind.")
    if layout != torch.strided:
        raise CnnzooError(f"x: expected a dense tensor, got layout {layout}.")
    if not dtype.is_floating_point:
        raise CnnzooError(f"x: expected a floating dtype, got {dtype}.")
    others = [("weight", *of_weight)] + ([("bias", *of_bias[1:])] if of_bias else [])
    for name, other_dtype, other_device in others:
        if other_device != device:
            raise CnnzooError(f"{name}: expected device {device}, that of x; got {other_device}.")
        check_dtype(name, other_dtype, dtype, bool(autocast))
    stride, padding, dilation, groups, pool_size, pool_stride, pool_padding = sizes
    bias = of_bias[0] if of_bias else None
    _geometry.check_ranks(x, weight, bias, groups)
    window = _geometry.window(stride, padding, pool_size, pool_stride, pool_padding)
    dilation = _geometry.pair("dilation", dilation, 1)
    _geometry.check_sizes(x, weight, bias, window, dilation, groups)
    computed = autocast if autocast and dtype != torch.float64 else dtype
    problem = _choice.Problem(
        tuple(x), tuple(weight), window, dilation, groups, computed, device.type, training
    )
    choice = _choice.choose(implementation, problem)
    plan = make_plan(window, dilation, groups, training=training, choice=choice)
    as_they_are = all(each == computed for each in (dtype, *(other for _, other, _ in others)))
    return plan if as_they_are and device.type != "cuda" else plan._replace(cast=computed)


_native.when_changed(_plan.cache_clear)
