"""`conv_relu_maxpool` inside `torch.compile` and `torch.export`: the operators that carry autograd.

The choice of implementation becomes part of the program. Sizes may be symbols here: the choice is
then made without them, and no check asks for their value.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import _choice, _cuda, _geometry
from cnnzoo.ops._casting import cast
from cnnzoo.ops._operators import FORWARD, TRAIN
from cnnzoo.ops._plan import check_dtype, make_plan, needs_grad
from cnnzoo.ops._reference import compose

FUNC = "torch.func inside torch.compile is left to the reference."


def trace(
    x: Tensor, weight: Tensor, bias: Tensor | None, sizes: tuple, implementation: str
) -> Tensor:
    """The call as a piece of a program.

    Raises:
        CnnzooError: bad arguments; tracers may wrap it in an error of their own.
    """
    from torch.fx.experimental.symbolic_shapes import has_static_value  # 0.7 s, here in any case

    stride, padding, dilation, groups, pool_size, pool_stride, pool_padding = sizes
    _geometry.check_ranks(x.shape, weight.shape, None if bias is None else bias.shape, groups)
    window = _geometry.window(stride, padding, pool_size, pool_stride, pool_padding)
    dilation = _geometry.pair("dilation", dilation, 1)
    training = needs_grad(x, weight, bias)
    autocast = torch.is_autocast_enabled(x.device.type)
    check_dtype("weight", weight.dtype, x.dtype, autocast)
    if bias is not None:
        check_dtype("bias", bias.dtype, x.dtype, autocast)
    autocast = autocast and x.dtype != torch.float64  # which autocast leaves alone
    dtype = torch.get_autocast_dtype(x.device.type) if autocast else x.dtype
    native = _is_native(
        implementation,
        tuple(x.shape) if all(has_static_value(size) for size in x.shape) else (),
        tuple(weight.shape) if all(has_static_value(size) for size in weight.shape) else (),
        tuple(window),
        dilation,
        groups,
        dtype,
        x.device.type,
        training,
    )
    if not native:
        plan = make_plan(window, dilation, groups, training=training)
        return compose(x, weight, bias, plan.conv, plan.pool)
    if autocast:
        x, weight, bias = cast(x, weight, bias, dtype)
    if training:
        return TRAIN(x, weight, bias, tuple(window))[0]
    return FORWARD(x, weight, bias, tuple(window))


def _is_native(implementation: str, *problem: Any) -> bool:
    native = _choice.choose(implementation, _choice.Problem(*problem)).implementation == "native"
    if native and torch._C._are_functorch_transforms_active():
        # torch.func knows our operators by `Functional`, which a compiler cannot look into.
        if implementation == "native":
            raise CnnzooError(f'implementation="{implementation}" cannot run: {FUNC}')
        return False
    if native:
        _cuda.follow_tf32()
    return native


# All that torch.compiler.assume_constant_result does, except that it takes 1.5 s to import.
_is_native._dynamo_marked_constant = True  # type: ignore[attr-defined]
