"""Network in Network: after each convolution two of 1×1, and no linear layer at the end.

Lin, Chen, Yan: Network in network, ICLR 2014, arXiv:1312.4400, figure 2; the numbers of channels
are those of the authors' published networks for CIFAR-10 and ImageNet.

3×32×32 → [conv 5×5, 192; 160; 96] → pool → dropout → [conv 5×5, 192; 192; 192] → pool → dropout
        → [conv 3×3, 192; 192; classes] → mean of each map.

From 67 pixels on the ImageNet form is built, four blocks with a first convolution of 11×11/4.
Differences: pools round down, and the second is a max-pool as in the paper's text. The paper sets
the weights' scale by hand; here it is Kaiming's (He et al. 2015).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from cnnzoo.layers import build_layer
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import final_size
from cnnzoo.registry import register_model


@dataclass(frozen=True)
class _Block:
    """A convolution and the two of 1×1 after it; 0 channels: as many as there are classes."""

    channels: tuple[int, int, int]
    kernel: int
    stride: int = 1
    padding: int = 0


_SMALL = (
    _Block((192, 160, 96), 5, padding=2),
    _Block((192, 192, 192), 5, padding=2),
    _Block((192, 192, 0), 3, padding=1),
)
_LARGE = (
    _Block((96, 96, 96), 11, stride=4),
    _Block((256, 256, 256), 5, padding=2),
    _Block((384, 384, 384), 3, padding=1),
    _Block((1024, 1024, 0), 3, padding=1),
)
_SMALLEST_LARGE = 67  # pixels that the ImageNet form needs


@register_model("nin")
class NiN(ImageClassifier):
    """Network in Network: micro-networks of 1×1 convolutions and a mean instead of linear layers.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; at least 7.
        conv_relu_maxpool: implementation of the 1×1 convolutions before a pool.
        dropout: probability that a value is dropped before a block: each but the first in the
            form for CIFAR, the last in the form for ImageNet.

    Raises:
        CnnzooError: the image is too small; a table shows in which layer it is used up.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("nin")
    >>> model(torch.rand(2, 3, 32, 32)).shape, sum(p.numel() for p in model.parameters())
    (torch.Size([2, 10]), 966986)
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 32,
        conv_relu_maxpool: str = "auto",
        dropout: float = 0.5,
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        small = min(self.image_size) < _SMALLEST_LARGE
        blocks = OrderedDict[str, nn.Module]()
        for number, block in enumerate(_SMALL if small else _LARGE, start=1):
            last = 0 in block.channels
            if last or (small and number > 1):
                blocks[f"dropout{number}"] = nn.Dropout(dropout)
            widths = [channels or num_classes for channels in block.channels]
            blocks[f"block{number}"] = _mlpconv(
                in_channels, block, widths, None if last else conv_relu_maxpool
            )
            in_channels = widths[-1]
        final_size("nin", self.image_size, blocks)
        self.stages = {name: f"features.{name}" for name in blocks if name.startswith("block")}
        self.features = nn.Sequential(blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.features(x)  # (N, num_classes, 7, 7) for 32×32
        return self.avgpool(x).flatten(1)


def _mlpconv(
    in_channels: int, block: _Block, widths: list[int], pooled: str | None
) -> nn.Sequential:
    """Build k×k → ReLU → 1×1 → ReLU → 1×1 → ReLU → max-pool 3×3/2, this unless it is the last."""
    first, second, third = widths
    layers = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(in_channels, first, block.kernel, block.stride, block.padding),
        relu1=nn.ReLU(inplace=True),
        cccp1=nn.Conv2d(first, second, 1),
        relu2=nn.ReLU(inplace=True),
    )
    if pooled is None:
        layers["cccp2"] = nn.Conv2d(second, third, 1)
        layers["relu3"] = nn.ReLU(inplace=True)
    else:
        layers["cccp2"] = build_layer(
            "conv_relu_maxpool", pooled, second, third, 1, pool_size=3, pool_stride=2
        )
    return nn.Sequential(layers)
