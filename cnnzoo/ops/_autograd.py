"""The two ways of `conv_relu_maxpool` into autograd outside of compiled programs.

`Eager` is the fast one: a Function of the old style, `forward(ctx, …)`, costs 10 µs a call less
than one with `setup_context`, and the raw operators skip torch's Python autograd. `Functional` is
for `torch.func`, which takes only the new style. Neither has a second derivative, and both say so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function

from cnnzoo.errors import CnnzooError
from cnnzoo.ops._operators import BACKWARD_RAW, TRAIN_RAW, TWICE, gradients

_FORWARD_MODE = (
    "conv_relu_maxpool has no forward-mode derivative (jvp, jacfwd, hessian). "
    'implementation="reference" has one.'
)


class _Once(Function):
    """The gradient as a step that autograd sees, so that differentiating it again is an error."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*args: Any) -> Any:
        return BACKWARD_RAW(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise CnnzooError(TWICE)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise CnnzooError(_FORWARD_MODE)


class Eager(Function):
    """x, weight, bias, window → y, with its gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, window: tuple[int, ...]
    ) -> Tensor:
        y, place = TRAIN_RAW(x, weight, bias, window)
        ctx.save_for_backward(x, weight, place)
        ctx.window = window
        ctx.set_materialize_grads(False)
        return y

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None) -> Any:
        # Grad mode is on in here only for create_graph=True.
        backward = _Once.apply if torch.is_grad_enabled() else BACKWARD_RAW
        x, weight, place = ctx.saved_tensors
        return gradients(backward, ctx.needs_input_grad, grad_y, x, weight, place, ctx.window)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise CnnzooError(_FORWARD_MODE)


class Functional(Function):
    """The same for `torch.func`: returns y and the places, which nothing differentiates."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor | None, window: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        return TRAIN_RAW(x, weight, bias, window)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, weight, _, ctx.window = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, weight, output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None, _: Any) -> Any:
        x, weight, place = ctx.saved_tensors
        return gradients(_Once.apply, ctx.needs_input_grad, grad_y, x, weight, place, ctx.window)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise CnnzooError(_FORWARD_MODE)
