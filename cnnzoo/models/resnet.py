"""ResNet-18, -34 and -50.

He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016, arXiv:1512.03385,
table 1. As in torchvision ("v1.5"), a bottleneck halves the size in its 3×3 convolution, not in the
1×1 before it; names and shapes of the parameters are torchvision's, so that its weights load.

3×224×224 → conv 7×7 stride 2, 64 → batch norm → ReLU → max-pool 3×3 stride 2 → 56×56
        → 4 stages of 64, 128, 256, 512 (×4 in bottlenecks): 56, 28, 14, 7 → mean → linear.
Below 64 pixels the stem is a convolution 3×3 of stride 1 without pooling, as the paper's networks
for CIFAR have it: 28×28 → 28, 14, 7, 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._no_site import check_implementation
from cnnzoo.models._small_images import check_last_map, is_small
from cnnzoo.registry import register_model


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size but for its stride; batch norm brings the bias."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the paper's shortcut B: a 1×1 convolution where the shape changes, else nothing."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (figure 5, left): (N, C, H, W) → (N, width, P, Q)."""

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        shortcut: Callable[[int, int, int], nn.Module] = projection,
    ) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """Convolutions 1×1, 3×3, 1×1 and a shortcut (figure 5, right): to 4·width channels."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = projection(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def initialise(model: nn.Module) -> None:
    """Draw convolutions from N(0, 2 / fan-out), as He et al. 2015 (arXiv:1502.01852, eq. 14)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResNet(ImageClassifier):
    """Residual network with four stages; `ResNet18` and the others say which.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; the stem for small images is taken
            where one of them is below 64.
        conv_relu_maxpool: must be an implementation of that layer, and is not used: the network
            has batch norm between convolution and ReLU.

    Raises:
        CnnzooError: a single pixel would be left of the image.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("resnet18", in_channels=1, num_classes=10, image_size=28)
    >>> model(torch.rand(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    block: ClassVar[type[BasicBlock] | type[Bottleneck]]
    depths: ClassVar[tuple[int, int, int, int]]

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1000,
        image_size: int | tuple[int, int] = 224,
        conv_relu_maxpool: str = "auto",
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        check_implementation(conv_relu_maxpool)
        small = is_small(self.image_size)
        check_last_map(type(self).__name__.lower(), self.image_size, 8 if small else 32)
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = convolution(in_channels, 64, kernel, stride)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        wider = self.block.expansion
        self.layer1 = self._stage(64, 64, self.depths[0], stride=1)
        self.layer2 = self._stage(64 * wider, 128, self.depths[1], stride=2)
        self.layer3 = self._stage(128 * wider, 256, self.depths[2], stride=2)
        self.layer4 = self._stage(256 * wider, 512, self.depths[3], stride=2)
        self.fc = nn.Linear(512 * wider, num_classes)
        # The stem ends with its pooling, which is nothing for small images: one name for both.
        self.stages = {"stem": "maxpool", **{f"stage{i}": f"layer{i}" for i in range(1, 5)}}
        initialise(self)

    def _stage(self, inputs: int, width: int, depth: int, stride: int) -> nn.Sequential:
        """Chain ``depth`` blocks, of which the first changes size and channels."""
        first = self.block(inputs, width, stride)
        outputs = width * self.block.expansion
        return nn.Sequential(first, *(self.block(outputs, width, 1) for _ in range(depth - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64, 28, 28) for 28×28, (…, 112, 112) for 224
        x = self.layer1(self.maxpool(x))  # (N, 64, 28, 28), (…, 56, 56)
        x = self.layer2(x)  # (N, 128, 14, 14), (…, 28, 28)
        x = self.layer3(x)  # (N, 256, 7, 7), (…, 14, 14)
        x = self.layer4(x)  # (N, 512, 4, 4), (…, 7, 7)
        return self.fc(x.mean((2, 3)))


@register_model("resnet18")
class ResNet18(ResNet):
    """ResNet-18 with basic blocks, 11.7 M parameters."""

    block, depths = BasicBlock, (2, 2, 2, 2)


@register_model("resnet34")
class ResNet34(ResNet):
    """ResNet-34 with basic blocks, 21.8 M parameters."""

    block, depths = BasicBlock, (3, 4, 6, 3)


@register_model("resnet50")
class ResNet50(ResNet):
    """ResNet-50 with bottlenecks, 25.6 M parameters."""

    block, depths = Bottleneck, (3, 4, 6, 3)
