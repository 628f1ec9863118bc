"""AlexNet, in the form that torchvision has it: one column, no local response normalisation.

Krizhevsky: One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997, 2014;
after Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural
networks, NIPS 2012. Its mark is the overlapping max-pool, 3×3 with stride 2.

3×224×224 → conv 11×11/4, 64 → pool → 27×27 → conv 5×5, 192 → pool → 13×13
          → conv 3×3, 384 → conv 3×3, 256 → conv 3×3, 256 → pool → 6×6
          → 9,216 → linear 4,096 → linear 4,096 → classes.

Below 63 pixels the first convolution would use the picture up. There the zoo has a form of its
own: the first convolution is 3×3 with stride 1, and the linear layers are 1,024 wide.
"""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor, nn

from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import final_size
from cnnzoo.models._stack import Conv, conv_stack
from cnnzoo.registry import register_model

_POOL = (3, 2)
_CONVS = (
    Conv("conv1", 64, 11, stride=4, padding=2, pool=_POOL),
    Conv("conv2", 192, 5, padding=2, pool=_POOL),
    Conv("conv3", 384),
    Conv("conv4", 256),
    Conv("conv5", 256, pool=_POOL),
)
_SMALLEST_LARGE = 63  # pixels that the first convolution of 11×11 needs


@register_model("alexnet")
class AlexNet(ImageClassifier):
    """AlexNet; from 63 pixels on with torchvision's weights, below that with a smaller start.

    Weights are drawn as torchvision draws them, which is `torch.nn`'s own way, in the large form;
    in the small one Kaiming-uniform (He et al. 2015), but for the last layer.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; at least 15.
        conv_relu_maxpool: implementation of the three pooled convolutions.
        dropout: probability that a value is dropped before each of the first two linear layers.

    Raises:
        CnnzooError: the image is too small; a table shows in which layer it is used up.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("alexnet", in_channels=1, num_classes=10, image_size=28)
    >>> model.eval()(torch.rand(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1000,
        image_size: int | tuple[int, int] = 224,
        conv_relu_maxpool: str = "auto",
        dropout: float = 0.5,
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        small = min(self.image_size) < _SMALLEST_LARGE
        first = replace(_CONVS[0], kernel=3, stride=1, padding=1) if small else _CONVS[0]
        stack = conv_stack(in_channels, [first, *_CONVS[1:]], conv_relu_maxpool)
        size = final_size("alexnet", self.image_size, stack.parts)
        pooled, width = (size, 1024) if small else ((6, 6), 4096)
        self.stages = stack.paths
        self.features = stack.features
        self.avgpool = nn.AdaptiveAvgPool2d(pooled)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * pooled[0] * pooled[1], width),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, num_classes),
        )
        for module in [*self.features, *self.classifier[:-1]]:
            if small and isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            if not small and isinstance(module, ConvReluMaxPool):
                nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5))  # as torch.nn.Conv2d

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.features(x)  # (N, 256, 6, 6) for 224×224
        x = self.avgpool(x)
        return self.classifier(x.flatten(1))
