"""An implementation of conv → bias → ReLU → max-pool: the convolution as one matrix product.

It is how convolutions are taught, and it shows what an implementation is: a class that derives from
`ConvReluMaxPool`, which owns the parameters and the checks, and writes `forward` only.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cnnzoo import CnnzooError, ConvReluMaxPool, register_layer


@register_layer("conv_relu_maxpool.unfold")
class UnfoldConvReluMaxPool(ConvReluMaxPool):
    """Windows of the image as columns of a matrix (im2col), multiplied by the kernels.

    Raises:
        CnnzooError: groups other than 1, when it is called.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, P, Q)."""
        if self.groups != 1:
            raise CnnzooError(f"unfold is for groups=1, got {self.groups}: try 'auto'.")
        columns = F.unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)
        y = self.weight.flatten(1) @ columns  # (N, K, windows)
        if self.bias is not None:
            y = y + self.bias[:, None]
        height, width = self.conv_size((x.shape[2], x.shape[3]))
        y = F.relu(y.reshape(x.shape[0], self.out_channels, height, width))
        return F.max_pool2d(y, self.pool_size, self.pool_stride, self.pool_padding)
