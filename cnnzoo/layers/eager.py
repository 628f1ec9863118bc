"""conv → bias → ReLU → max-pool out of PyTorch's own operations: the judge of all others."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnnzoo.layers._base import ConvReluMaxPool
from cnnzoo.registry import register_layer


@register_layer("conv_relu_maxpool.eager")
class EagerConvReluMaxPool(ConvReluMaxPool):
    """The layer written out in PyTorch."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, P, Q)."""
        x = F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )
        return F.max_pool2d(F.relu(x), self.pool_size, self.pool_stride, self.pool_padding)
