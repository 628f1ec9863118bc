"""The native operators of a classifier head, and their way into autograd.

    classifier_head_raw           x, weights, biases → the output of every layer, logits last
    classifier_head_backward_raw  grad, x, weights, biases, hidden, need_x → grad_x, gradients

Lists have an item a layer; `hidden` are the outputs of all but the last, after ReLU; `gradients` of
weight and bias take turns. There is no kernel but the CPU's: whoever calls has asked
`cnnzoo.ops.classifier_head.declined` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import Function

from cnnzoo.ops._operators import library


def compose(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None]) -> Tensor:
    """Flatten, then linear layers with ReLU between them, in PyTorch."""
    x = x.flatten(1)  # (N, in)
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = F.linear(F.relu(x) if i else x, weight, bias)  # (N, out)
    return x


def _fake(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> list[Tensor]:
    return [x.new_empty(x.shape[0], weight.shape[0]) for weight in weights]


def _fake_backward(
    grad: Tensor,
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    hidden: Sequence[Tensor],
    need_x: bool,
) -> tuple[Tensor, list[Tensor]]:
    pairs = zip(weights, biases, strict=True)
    grads = [torch.empty(one.shape, dtype=x.dtype) for pair in pairs for one in pair]
    return torch.empty_like(x) if need_x else x.new_empty(0), grads


library.define(
    "classifier_head_raw(Tensor x, Tensor[] weights, Tensor[] biases) -> Tensor[]",
    tags=torch.Tag.pt2_compliant_tag,
)
library.define(
    "classifier_head_backward_raw(Tensor grad, Tensor x, Tensor[] weights, Tensor[] biases, "
    "Tensor[] hidden, bool need_x) -> (Tensor grad_x, Tensor[] gradients)",
    tags=torch.Tag.pt2_compliant_tag,
)
torch.library.register_fake("cnnzoo::classifier_head_raw", _fake, lib=library)
torch.library.register_fake("cnnzoo::classifier_head_backward_raw", _fake_backward, lib=library)
FORWARD_RAW = torch.ops.cnnzoo.classifier_head_raw.default
BACKWARD_RAW = torch.ops.cnnzoo.classifier_head_backward_raw.default


class Head(Function):
    """x, then weight and bias of every layer → logits, with their gradients.

    A gradient that is to be differentiated itself (``create_graph=True``) is PyTorch's.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        *hidden, logits = FORWARD_RAW(x, parameters[::2], parameters[1::2])
        ctx.save_for_backward(x, *parameters, *hidden)
        ctx.inputs = 1 + len(parameters)
        return logits

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        saved = ctx.saved_tensors
        inputs, hidden = saved[: ctx.inputs], saved[ctx.inputs :]
        x, *parameters = inputs
        weights, biases = parameters[::2], parameters[1::2]
        needs = ctx.needs_input_grad
        if torch.is_grad_enabled():
            wanted = [one for one, need in zip(inputs, needs, strict=True) if need]
            with torch.autocast("cpu", enabled=False):
                logits = compose(x, weights, biases)
                given = iter(torch.autograd.grad(logits, wanted, grad, create_graph=True))
            return tuple(next(given) if need else None for need in needs)
        grad_x, grads = BACKWARD_RAW(grad, x, weights, biases, hidden, needs[0])
        return grad_x, *grads  # autograd drops those that nobody needs
