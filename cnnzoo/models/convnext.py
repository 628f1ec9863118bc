"""ConvNeXt, made small: a modern convolutional network for images of 28 pixels.

Liu, Mao, Wu, Feichtenhofer, Darrell, Xie: A ConvNet for the 2020s, CVPR 2022, arXiv:2201.03545,
figure 4 and section 2: depthwise 7×7, LayerNorm over the channels, an inverted bottleneck with
GELU, few activations, separate layers that halve the size. The smallest there has 28 M parameters.

1×28×28 → conv 3×3, 32 → LayerNorm → 4 stages of 2, 2, 4, 2 blocks with 32, 64, 128, 256 channels:
        28, 14, 7, 3 → mean → LayerNorm → linear.
From 64 pixels on, the stem is the paper's: 4×4 with stride 4 (224 → 56, 28, 14, 7).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._no_site import check_implementation
from cnnzoo.models._sizes import final_size
from cnnzoo.models._small_images import is_small
from cnnzoo.registry import register_model

_CHANNELS = (32, 64, 128, 256)
_DEPTHS = (2, 2, 4, 2)
_EPSILON = 1e-6  # of LayerNorm, and the first value of the layer scale (the paper's appendix A.1)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel: (N, C, H, W) → the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7×7, LayerNorm, 1×1 to four times the channels, GELU, 1×1 back; and a shortcut."""

    def __init__(self, channels: int, drop: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), _EPSILON))
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.drop: nn.Module = nn.Identity()
        if drop > 0:
            from torchvision.ops import StochasticDepth  # a second and a half, often not needed

            self.drop = StochasticDepth(drop, "row")

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x).permute(0, 2, 3, 1)  # (N, H, W, C): linear layers are 1×1 there
        y = self.scale * self.narrow(F.gelu(self.widen(self.norm(y))))
        return x + self.drop(y.permute(0, 3, 1, 2))


@register_model("convnext_micro")
class ConvNeXtMicro(ImageClassifier):
    """ConvNeXt with 1.9 M parameters for small images.

    Weights are drawn from a normal distribution of deviation 0.02, cut off at ±2; biases are zero.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels, at least 8; the stem for small images
            is taken where one of them is below 64.
        conv_relu_maxpool: must be an implementation of that layer, and is not used: the network
            pools nowhere.
        stochastic_depth: probability with which the last block is left out for an image in training
            (Huang et al. 2016, arXiv:1603.09382); it rises linearly from zero at the first block.

    Raises:
        CnnzooError: the image is too small (a table shows where), or the probability is none.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("convnext_micro", in_channels=1, image_size=28)
    >>> model(torch.rand(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 32,
        conv_relu_maxpool: str = "auto",
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        check_implementation(conv_relu_maxpool)
        if not 0 <= stochastic_depth < 1:
            raise CnnzooError(
                f"stochastic_depth is a probability below 1, such as 0.1; got {stochastic_depth!r}."
            )
        last = sum(_DEPTHS) - 1
        drops = iter([stochastic_depth * index / last for index in range(last + 1)])
        first = _CHANNELS[0]
        stem = (
            nn.Conv2d(in_channels, first, 3, padding=1)
            if is_small(self.image_size)
            else nn.Conv2d(in_channels, first, 4, stride=4)
        )
        self.stem = nn.Sequential(stem, ChannelNorm(first, eps=_EPSILON))
        self.stage1 = _stage(first, first, _DEPTHS[0], drops)
        self.stage2 = _stage(*_CHANNELS[0:2], _DEPTHS[1], drops)
        self.stage3 = _stage(*_CHANNELS[1:3], _DEPTHS[2], drops)
        self.stage4 = _stage(*_CHANNELS[2:4], _DEPTHS[3], drops)
        self.norm = nn.LayerNorm(_CHANNELS[3], eps=_EPSILON)
        self.fc = nn.Linear(_CHANNELS[3], num_classes)
        self.stages = {name: name for name in ("stem", "stage1", "stage2", "stage3", "stage4")}
        halved = {"stage2": self.stage2[1], "stage3": self.stage3[1], "stage4": self.stage4[1]}
        final_size("convnext_micro", self.image_size, {"stem": stem, **halved})
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.stem(x)  # (N, 32, 28, 28) for 28×28, (…, 56, 56) for 224×224
        x = self.stage1(x)  # (N, 32, 28, 28), (…, 56, 56)
        x = self.stage2(x)  # (N, 64, 14, 14), (…, 28, 28)
        x = self.stage3(x)  # (N, 128, 7, 7), (…, 14, 14)
        x = self.stage4(x)  # (N, 256, 3, 3), (…, 7, 7)
        return self.fc(self.norm(x.mean((2, 3))))


def _stage(inputs: int, outputs: int, depth: int, drops: Iterator[float]) -> nn.Sequential:
    """Halve the size where the channels change, then chain ``depth`` blocks."""
    halve = [ChannelNorm(inputs, eps=_EPSILON), nn.Conv2d(inputs, outputs, 2, stride=2)]
    blocks = [ConvNeXtBlock(outputs, next(drops)) for _ in range(depth)]
    return nn.Sequential(*(halve if inputs != outputs else []), *blocks)
