"""The end of a classifier: flatten, linear layers, ReLU between them, in one call where possible.

The layers stay what they are, modules of the model with their names in its state dict. What looks
at modules (hooks, torch.fx, parametrizations, torch.compile) finds them called one by one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as _module

from cnnzoo.ops import classifier_head

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def classify(x: Tensor, *linears: nn.Linear, implementation: str = "auto") -> Tensor:
    """Map feature maps (N, C, P, Q) through linear layers with ReLU between them to logits (N, K).

    Args:
        x: feature maps in any strides, or (N, features).
        *linears: the layers, `torch.nn.Linear` as a rule.
        implementation: of `cnnzoo.ops.classifier_head`.

    Raises:
        CnnzooError: as `cnnzoo.ops.classifier_head`.

    >>> classify(torch.rand(32, 8, 5, 5), nn.Linear(200, 20), nn.Linear(20, 10)).shape
    torch.Size([32, 10])
    """
    looked_at = (
        not isinstance(x, Tensor)  # torch.fx's
        or torch.compiler.is_compiling()
        or _module._has_any_global_hook()
        or not all(map(_plain, linears))
    )
    if not looked_at:
        weights, biases = [one.weight for one in linears], [one.bias for one in linears]
        return classifier_head(x, weights, biases, implementation=implementation)
    x = x.flatten(1)  # (N, C P Q)
    for i, linear in enumerate(linears):
        x = linear(F.relu(x) if i else x)
    return x


def _plain(layer: nn.Module) -> bool:
    """Whether calling it is F.linear with its weight and bias and nothing else."""
    return (
        type(layer) is nn.Linear
        and "forward" not in layer.__dict__
        and not any(getattr(layer, hooks) for hooks in _HOOKS)
    )
