"""conv → bias → ReLU → max-pool as one operator: `cnnzoo.ops.conv_relu_maxpool`."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from cnnzoo.layers._base import ConvReluMaxPool
from cnnzoo.ops import Choice, conv_relu_maxpool, explain
from cnnzoo.registry import register_layer


@register_layer("conv_relu_maxpool.auto")
class FusedConvReluMaxPool(ConvReluMaxPool):
    """The operator, in whatever implementation is fastest for the shape and machine."""

    implementation: ClassVar[str] = "auto"

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, P, Q)."""
        return conv_relu_maxpool(
            x, self.weight, self.bias, **self.options(), implementation=self.implementation
        )

    def explain(self, x: Tensor) -> Choice:
        """Say which implementation runs for ``x``, and why the others do not."""
        return explain(
            x, self.weight, self.bias, **self.options(), implementation=self.implementation
        )


@register_layer("conv_relu_maxpool.native")
class NativeConvReluMaxPool(FusedConvReluMaxPool):
    """The operator in native code, or an error that says why that cannot run."""

    implementation = "native"


@register_layer("conv_relu_maxpool.reference")
class ReferenceConvReluMaxPool(FusedConvReluMaxPool):
    """The operator in PyTorch, which runs everywhere."""

    implementation = "reference"
