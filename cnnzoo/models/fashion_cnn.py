"""Three fused blocks, for small pictures that ask for more than digits do.

1×28×28 → [conv 3×3 → ReLU → pool 2×2] with 32, 64, 128 filters → 128×3×3 → linear 10.

The tutorial's network carried on by its own means (a block more, twice the filters in each), and
made of nothing but what the fused operator does: about seven times the arithmetic of `mnist_cnn`.
"""

from __future__ import annotations

from torch import Tensor, nn

from cnnzoo.layers import build_layer
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import final_size
from cnnzoo.registry import register_model

_FILTERS = (32, 64, 128)


@register_model("fashion_cnn")
class FashionCNN(ImageClassifier):
    """Three conv-ReLU-maxpool layers and a linear one; 104,202 parameters at the defaults.

    Kaiming-uniform weights for the convolutions (He et al. 2015).

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; at least 8.
        conv_relu_maxpool: implementation of the layer (see `cnnzoo.layers.implementations`).

    Raises:
        CnnzooError: the image is too small; a table shows in which layer it is used up.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("fashion_cnn")
    >>> model(torch.rand(8, 1, 28, 28)).shape, sum(p.numel() for p in model.parameters())
    (torch.Size([8, 10]), 104202)
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 28,
        conv_relu_maxpool: str = "auto",
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        widths = zip((in_channels, *_FILTERS), _FILTERS, strict=False)
        self.conv1, self.conv2, self.conv3 = (
            build_layer("conv_relu_maxpool", conv_relu_maxpool, inputs, filters, 3, padding=1)
            for inputs, filters in widths
        )
        stages = {"conv1": self.conv1, "conv2": self.conv2, "conv3": self.conv3}
        height, width = final_size("fashion_cnn", self.image_size, stages)
        self.stages = {name: name for name in stages}
        self.fc = nn.Linear(_FILTERS[-1] * height * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.conv1(x)  # (N, 32, 14, 14) for 28×28
        x = self.conv2(x)  # (N, 64, 7, 7)
        x = self.conv3(x)  # (N, 128, 3, 3)
        return self.fc(x.flatten(1))
