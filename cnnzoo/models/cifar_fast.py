"""A network that learns CIFAR-sized pictures fast: three blocks, each pools before it normalises.

In the spirit of airbench94 (Jordan: 94% on CIFAR-10 in 3.29 seconds on a single GPU,
arXiv:2404.00498, 2024), which goes back to ResNet-9 (Page: How to train your ResNet, 2018).

3×32×32 → conv 2×2, 24 → [conv 3×3 → ReLU → pool → batch norm → conv 3×3 → batch norm → ReLU] × 3
        with 64, 256, 256 channels → 256×3×3 → maximum of each map → linear, divided by 9.

Taken from there: the pool directly after a block's first convolution, so that all later work is on
a quarter of the pixels; convolutions that start as the identity as far as they can (section 3.2);
logits divided by 9; quick statistics of the batch norm. Different: ReLU in GELU's place and the
batch norm after it, so that convolution, ReLU and pool are one fused layer; the first convolution
is learned, not computed from the data.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from cnnzoo.layers import ConvReluMaxPool, build_layer
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import final_size
from cnnzoo.registry import register_model

_FIRST = 24  # channels of the first convolution
_WIDTHS = (64, 256, 256)
_LOGIT_SCALE = 1 / 9


@register_model("cifar_fast")
class CifarFast(ImageClassifier):
    """Seven convolutions and a linear layer, built to be trained in a few epochs.

    Weights are `torch.nn.Conv2d`'s, but the first as many channels out as there are channels in
    start as the identity.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; at least 9.
        conv_relu_maxpool: implementation of each block's first convolution.

    Raises:
        CnnzooError: the image is too small; a table shows in which layer it is used up.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("cifar_fast", in_channels=1, image_size=28)
    >>> model(torch.rand(8, 1, 28, 28)).shape
    torch.Size([8, 10])
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 32,
        conv_relu_maxpool: str = "auto",
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        layers = OrderedDict[str, nn.Module](
            conv=nn.Conv2d(in_channels, _FIRST, 2), relu=nn.ReLU(inplace=True)
        )
        channels = _FIRST
        for number, width in enumerate(_WIDTHS, start=1):
            layers[f"block{number}"] = _block(channels, width, conv_relu_maxpool)
            channels = width
        final_size("cifar_fast", self.image_size, layers)
        self.stages = {"conv": "features.relu"} | {
            name: f"features.{name}" for name in layers if name.startswith("block")
        }
        self.features = nn.Sequential(layers)
        self.maxpool = nn.AdaptiveMaxPool2d(1)
        self.fc = nn.Linear(channels, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.features(x)  # (N, 256, 3, 3) for 32×32
        x = self.maxpool(x).flatten(1)  # (N, 256)
        return self.fc(x) * _LOGIT_SCALE


def _block(in_channels: int, width: int, conv_relu_maxpool: str) -> nn.Sequential:
    pooled = build_layer(
        "conv_relu_maxpool", conv_relu_maxpool, in_channels, width, 3, padding=1, bias=False
    )
    conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
    for layer in (pooled, conv):
        assert isinstance(layer, ConvReluMaxPool | nn.Conv2d)
        nn.init.kaiming_uniform_(layer.weight, a=5**0.5)  # as torch.nn.Conv2d
        inputs = layer.weight.shape[1]
        nn.init.dirac_(layer.weight.data[:inputs])
    return nn.Sequential(
        OrderedDict(
            conv1=pooled,
            norm1=nn.BatchNorm2d(width, momentum=0.4),
            conv2=conv,
            norm2=nn.BatchNorm2d(width, momentum=0.4),
            relu=nn.ReLU(inplace=True),
        )
    )
