"""A model: two conv-ReLU-maxpool layers, the mean over the picture, and a linear layer.

The mean makes it small (fewer than 6,000 parameters), and it does not matter where a shape lies.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnzoo import CnnzooError, register_model
from cnnzoo.layers import ConvReluMaxPool, build_layer

_CHANNELS = (16, 32)


@register_model("shape_cnn", aliases=("shapes_net",))
class ShapeCNN(nn.Module):
    """Two conv-ReLU-maxpool layers and a mean, for shapes anywhere in a picture.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; at least 4.
        conv_relu_maxpool: implementation of the layer (see `cnnzoo.layers.implementations`).

    Raises:
        CnnzooError: the image is too small, or an argument is not a positive integer.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 3,
        image_size: int | tuple[int, int] = 28,
        conv_relu_maxpool: str = "auto",
    ) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("num_classes", num_classes)):
            if not isinstance(value, int) or value < 1:
                raise CnnzooError(f"{name} must be a positive integer; got {value!r}.")
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.image_size = (height, width)
        self.conv1 = _layer(conv_relu_maxpool, in_channels, _CHANNELS[0])
        self.conv2 = _layer(conv_relu_maxpool, *_CHANNELS)
        size = self.conv2.output_size(self.conv1.output_size(self.image_size))
        if min(size) < 1:
            raise CnnzooError(
                f"shape_cnn: an image of {height} x {width} is too small: two poolings leave "
                "nothing of it. The smallest image_size that works is 4."
            )
        self.fc = nn.Linear(_CHANNELS[1], num_classes)
        # What cnnzoo.features and cnnzoo info call the feature maps.
        self.stages = {"conv1": "conv1", "conv2": "conv2"}

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        x = self.conv1(x)  # (N, 16, 14, 14) for 28×28
        x = self.conv2(x)  # (N, 32, 7, 7)
        return self.fc(torch.mean(x, (2, 3)))


def _layer(implementation: str, in_channels: int, out_channels: int) -> ConvReluMaxPool:
    layer = build_layer(
        "conv_relu_maxpool", implementation, in_channels, out_channels, 3, padding=1
    )
    assert isinstance(layer, ConvReluMaxPool)
    return layer
