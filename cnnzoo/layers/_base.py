"""The layer conv → bias → ReLU → max-pool: its parameters and its checks.

An implementation derives from `ConvReluMaxPool` and writes `forward` only, so that a checkpoint
moves unchanged from one to the other. Letters: N batch, C and K channels in and out, H W input,
P Q pooled output.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.ops import Choice

Pair = tuple[int, int]


class ConvReluMaxPool(nn.Module):
    """Convolution, bias, ReLU and max-pooling as one layer: (N, C, H, W) → (N, K, P, Q).

    The weight is initialised Kaiming-uniform for ReLU (He et al. 2015, arXiv:1502.01852, eq. 10),
    the bias as `torch.nn.Conv2d` does it.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: an int or (height, width), as are the following.
        stride: of the convolution.
        padding: zeros around the input of the convolution.
        dilation: of the kernel.
        groups: of channels.
        bias: learn a bias.
        pool_size: the pooling window.
        pool_stride: its stride; ``None``: the window itself.
        pool_padding: at most half of the window.

    Raises:
        CnnzooError: an argument that no convolution or pooling can have.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        pool_size: int | Pair = 2,
        pool_stride: int | Pair | None = None,
        pool_padding: int | Pair = 0,
    ) -> None:
        super().__init__()
        self.in_channels = _at_least("in_channels", in_channels, 1)
        self.out_channels = _at_least("out_channels", out_channels, 1)
        self.groups = _at_least("groups", groups, 1)
        self.kernel_size = _pair("kernel_size", kernel_size, 1)
        self.stride = _pair("stride", stride, 1)
        self.padding = _pair("padding", padding, 0)
        self.dilation = _pair("dilation", dilation, 1)
        self.pool_size = _pair("pool_size", pool_size, 1)
        self.pool_stride = _pair(
            "pool_stride", pool_size if pool_stride is None else pool_stride, 1
        )
        self.pool_padding = _pair("pool_padding", pool_padding, 0)
        if in_channels % groups or out_channels % groups:
            raise CnnzooError(
                f"groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}."
            )
        if any(2 * pad > size for pad, size in zip(self.pool_padding, self.pool_size, strict=True)):
            raise CnnzooError(
                f"pool_padding={self.pool_padding} must be at most half of "
                f"pool_size={self.pool_size}."
            )
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, *self.kernel_size)
        )
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def conv_size(self, size: Pair) -> Pair:
        """Height and width after the convolution; below 1 where the input is too small."""
        return count_windows(size, self.kernel_size, self.stride, self.padding, self.dilation)

    def output_size(self, size: Pair) -> Pair:
        """Height and width (P, Q) of the output for an input of (H, W)."""
        return count_windows(
            self.conv_size(size), self.pool_size, self.pool_stride, self.pool_padding, (1, 1)
        )

    def options(self) -> dict[str, Any]:
        """Sizes of the convolution and the pool, as `cnnzoo.ops.conv_relu_maxpool` takes them."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "pool_size": self.pool_size,
            "pool_stride": self.pool_stride,
            "pool_padding": self.pool_padding,
        }

    def explain(self, x: Tensor) -> Choice:
        """Say which implementation runs for ``x`` (N, C, H, W), and why."""
        return Choice(type(self).__name__, "The model was built with this layer.")

    def extra_repr(self) -> str:
        """Arguments as they would be typed, defaults left out."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        defaults = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
        defaults |= {"pool_stride": self.pool_size, "pool_padding": (0, 0)}
        given = {name: getattr(self, name) for name in defaults}
        text += "".join(f", {k}={v}" for k, v in given.items() if v != defaults[k])
        return f"{text}, pool_size={self.pool_size}" + (", bias=False" if self.bias is None else "")


def count_windows(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """Count the windows along height and width, rounding down as torch does.

    >>> count_windows((28, 28), (3, 3), (1, 1), (0, 0), (1, 1))
    (26, 26)
    """
    height, width = (
        (n + 2 * pad - dil * (k - 1) - 1) // step + 1
        for n, k, step, pad, dil in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    return height, width


def _pair(name: str, value: int | Pair, least: int) -> Pair:
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2:
        raise CnnzooError(f"{name} is an int or (height, width); got {value!r}.")
    return _at_least(name, both[0], least), _at_least(name, both[1], least)


def _at_least(name: str, value: int, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise CnnzooError(f"{name} must be an integer of at least {least}; got {value!r}.")
    return value
