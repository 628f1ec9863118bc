"""A stack of convolutions, each with its ReLU and some with a pool, numbered as torchvision does.

torchvision counts convolution, batch norm, ReLU and pool one by one. Where the zoo has one fused
layer in place of three modules, the next number is three higher, so the keys of the weights agree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from cnnzoo.layers import build_layer
from cnnzoo.models._no_site import check_implementation

Norm = Literal["none", "before_relu", "after_pool"]


@dataclass(frozen=True)
class Conv:
    """One convolution of a stack, its ReLU, and the max-pool after it if there is one.

    Attributes:
        name: as the paper calls it.
        channels: that come out.
        kernel: height and width; ``stride`` and ``padding`` likewise.
        pool: (window, stride) of the max-pool; ``None``: no pool.
    """

    name: str
    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pool: tuple[int, int] | None = None


@dataclass(frozen=True)
class Stack:
    """What `conv_stack` built.

    Attributes:
        features: all modules, to be put into the model under this name.
        parts: name of a convolution → its own modules, for `final_size`.
        paths: name of a convolution → path in the model of its last module, for `stages`.
    """

    features: nn.Sequential
    parts: dict[str, nn.Module]
    paths: dict[str, str]


def conv_stack(
    in_channels: int, convs: Sequence[Conv], conv_relu_maxpool: str, norm: Norm = "none"
) -> Stack:
    """Build convolutions one after the other, the pooled ones as one layer.

    Args:
        in_channels: of the images.
        convs: the convolutions in order.
        conv_relu_maxpool: implementation of a convolution with a pool.
        norm: where a batch norm stands. Before the ReLU it keeps the layers apart and nothing is
            fused; after the pool it does not, and it has a quarter of the pixels to go through.

    Raises:
        CnnzooError: there is no such implementation, even where it would not be used.

    >>> stack = conv_stack(3, [Conv("conv1", 8, pool=(2, 2)), Conv("conv2", 16)], "auto")
    >>> stack.paths
    {'conv1': 'features.0', 'conv2': 'features.4'}
    """
    features: OrderedDict[str, nn.Module] = OrderedDict()
    parts: dict[str, nn.Module] = {}
    paths: dict[str, str] = {}
    number = 0
    check_implementation(conv_relu_maxpool)
    for conv in convs:
        if conv.pool and norm != "before_relu":
            modules: dict[int, nn.Module] = {number: _fused(in_channels, conv, conv_relu_maxpool)}
            number += 3
        else:
            separate = _separate(in_channels, conv, batch_norm=norm == "before_relu")
            modules = dict(enumerate(separate, start=number))
            number += len(modules)
        if norm == "after_pool":
            modules[number] = nn.BatchNorm2d(conv.channels)
            number += 1
        features |= {str(n): module for n, module in modules.items()}
        parts[conv.name] = nn.Sequential(*modules.values())
        paths[conv.name] = f"features.{max(modules)}"
        in_channels = conv.channels
    return Stack(nn.Sequential(features), parts, paths)


def _fused(in_channels: int, conv: Conv, implementation: str) -> nn.Module:
    assert conv.pool
    return build_layer(
        "conv_relu_maxpool",
        implementation,
        in_channels,
        conv.channels,
        conv.kernel,
        stride=conv.stride,
        padding=conv.padding,
        pool_size=conv.pool[0],
        pool_stride=conv.pool[1],
    )


def _separate(in_channels: int, conv: Conv, *, batch_norm: bool) -> list[nn.Module]:
    modules: list[nn.Module] = [
        nn.Conv2d(in_channels, conv.channels, conv.kernel, conv.stride, conv.padding)
    ]
    if batch_norm:
        modules.append(nn.BatchNorm2d(conv.channels))
    modules.append(nn.ReLU(inplace=True))
    if conv.pool:
        modules.append(nn.MaxPool2d(*conv.pool))
    return modules
