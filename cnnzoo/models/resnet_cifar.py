"""ResNet-20, -32, -44 and -56: the residual networks for CIFAR.

He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016, arXiv:1512.03385,
section 4.2. Shortcuts have no parameters (option A): where the shape changes, every second pixel is
taken and the new channels are zero.

3×32×32 → conv 3×3, 16 → 3 stages of n basic blocks with 16, 32, 64 channels: 32, 16, 8 → mean
        → linear; 6n + 2 layers with weights.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._no_site import check_implementation
from cnnzoo.models._small_images import check_last_map
from cnnzoo.models.resnet import BasicBlock, convolution, initialise
from cnnzoo.registry import register_model


class ZeroPaddedShortcut(nn.Module):
    """The paper's shortcut A: (N, C, H, W) → (N, C + added, ⌈H/stride⌉, ⌈W/stride⌉)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.added = outputs - inputs
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.added))


def parameter_free(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the shortcut of a block: nothing, where the shape stays."""
    same = inputs == outputs and stride == 1
    return nn.Identity() if same else ZeroPaddedShortcut(inputs, outputs, stride)


class CifarResNet(ImageClassifier):
    """Residual network for small images; `ResNet20` and the others say how deep.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; meant for 28 to 32.
        conv_relu_maxpool: must be an implementation of that layer, and is not used: the network
            pools nowhere.

    Raises:
        CnnzooError: a single pixel would be left of the image.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("resnet20")
    >>> model(torch.rand(2, 3, 32, 32)).shape, sum(p.numel() for p in model.parameters())
    (torch.Size([2, 10]), 269722)
    """

    depth: ClassVar[int]

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 32,
        conv_relu_maxpool: str = "auto",
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        check_implementation(conv_relu_maxpool)
        check_last_map(type(self).__name__.lower(), self.image_size, 4)
        self.conv1 = convolution(in_channels, 16, 3)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self._stage(16, 16, stride=1)
        self.layer2 = self._stage(16, 32, stride=2)
        self.layer3 = self._stage(32, 64, stride=2)
        self.fc = nn.Linear(64, num_classes)
        self.stages = {"stem": "relu", **{f"stage{i}": f"layer{i}" for i in range(1, 4)}}
        initialise(self)

    def _stage(self, inputs: int, width: int, stride: int) -> nn.Sequential:
        first = BasicBlock(inputs, width, stride, parameter_free)
        others = (self.depth - 2) // 6 - 1
        return nn.Sequential(
            first, *(BasicBlock(width, width, 1, parameter_free) for _ in range(others))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 16, 32, 32) for 32×32
        x = self.layer1(x)  # (N, 16, 32, 32)
        x = self.layer2(x)  # (N, 32, 16, 16)
        x = self.layer3(x)  # (N, 64, 8, 8)
        return self.fc(x.mean((2, 3)))


@register_model("resnet20")
class ResNet20(CifarResNet):
    """ResNet-20 for CIFAR, 0.27 M parameters."""

    depth = 20


@register_model("resnet32")
class ResNet32(CifarResNet):
    """ResNet-32 for CIFAR, 0.46 M parameters."""

    depth = 32


@register_model("resnet44")
class ResNet44(CifarResNet):
    """ResNet-44 for CIFAR, 0.66 M parameters."""

    depth = 44


@register_model("resnet56")
class ResNet56(CifarResNet):
    """ResNet-56 for CIFAR, 0.85 M parameters."""

    depth = 56
