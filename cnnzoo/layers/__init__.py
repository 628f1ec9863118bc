"""Interchangeable layers: one role, several implementations, the same parameters.

An implementation is one file that registers a class as ``"role.implementation"``; models pick it
by name and never import it::

    layer = build_layer("conv_relu_maxpool", "eager", 1, 32, kernel_size=3)
"""

from __future__ import annotations

from typing import Any

from torch import nn

from cnnzoo.errors import CnnzooError, did_you_mean
from cnnzoo.layers._base import ConvReluMaxPool, count_windows
from cnnzoo.layers.head import classify
from cnnzoo.registry import layers

__all__ = ["ConvReluMaxPool", "build_layer", "classify", "count_windows", "implementations"]


def build_layer(role: str, implementation: str, /, *args: Any, **kwargs: Any) -> nn.Module:
    """Build a layer of ``role`` in the given implementation.

    Args:
        role: what the layer computes, for example ``"conv_relu_maxpool"``.
        implementation: one of `implementations`; a plugin's reads ``"package:name"``.
        *args: arguments of the layer.
        **kwargs: keyword arguments of the layer.

    Raises:
        CnnzooError: no such implementation (the nearest is suggested).

    >>> build_layer("conv_relu_maxpool", "eager", 1, 32, kernel_size=3).weight.shape
    torch.Size([32, 1, 3, 3])
    """
    name = _layer_name(role, implementation) if isinstance(implementation, str) else ""
    if name not in layers:
        legal = implementations(role)
        raise CnnzooError(
            f"{role}={implementation!r} is no implementation of that layer."
            f"{did_you_mean(str(implementation), legal)} There are: {', '.join(legal)}."
        )
    return layers.info(name).builder(*args, **kwargs)


def implementations(role: str) -> list[str]:
    """List the implementations of a role, as models take them.

    >>> "eager" in implementations("conv_relu_maxpool")
    True
    """
    own, others = f"{role}.", f":{role}."
    names = layers.names([f"{role}.*", f"*:{role}.*"])
    return [name.removeprefix(own).replace(others, ":", 1) for name in names]


def _layer_name(role: str, implementation: str) -> str:
    package, colon, name = implementation.rpartition(":")
    return f"{package}{colon}{role}.{name}"
