"""MobileNetV2.

Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: inverted residuals and linear bottlenecks,
CVPR 2018, arXiv:1801.04381, table 2. Names and shapes of the parameters are torchvision's, so that
its weights load.

3×224×224 → conv 3×3 stride 2, 32 → 7 rows of blocks: 112, 56, 28, 14, 14, 7, 7
        → conv 1×1, 1280 → mean → dropout → linear.
Below 64 pixels the first convolution has stride 1: 28×28 → 28, 14, 7, 4, 4, 2, 2.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._no_site import check_implementation
from cnnzoo.models._small_images import check_last_map, is_small
from cnnzoo.registry import register_model

# expansion t, channels c, number of blocks n, stride s of the first: the paper's table 2
_ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_FIRST, _LAST = 32, 1280


def _conv(
    inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return convolution, batch norm and ReLU6."""
    from torchvision.ops import Conv2dNormActivation  # a second and a half; other models need none

    return Conv2dNormActivation(
        inputs, outputs, size, stride, groups=groups, activation_layer=nn.ReLU6
    )


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow without ReLU (figure 3b): (N, C, H, W) → (N, K, P, Q)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.has_shortcut = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([_conv(inputs, width, 1)] if expansion > 1 else []),
            _conv(width, width, 3, stride=stride, groups=width),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.has_shortcut else self.conv(x)


@register_model("mobilenet_v2")
class MobileNetV2(ImageClassifier):
    """MobileNetV2 of width 1, 3.5 M parameters: few operations, many layers.

    Convolutions are drawn from N(0, 2 / fan-out), the linear layer from N(0, 0.01²).

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; the first convolution has stride 1
            where one of them is below 64.
        conv_relu_maxpool: must be an implementation of that layer, and is not used: the network
            pools nowhere.
        dropout: probability with which an input of the linear layer is dropped in training.

    Raises:
        CnnzooError: a single pixel would be left of the image.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("mobilenet_v2", in_channels=1, num_classes=10, image_size=28)
    >>> model(torch.rand(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1000,
        image_size: int | tuple[int, int] = 224,
        conv_relu_maxpool: str = "auto",
        dropout: float = 0.2,
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        check_implementation(conv_relu_maxpool)
        stride = 1 if is_small(self.image_size) else 2
        total_stride = stride * prod(row[3] for row in _ROWS)
        check_last_map("mobilenet_v2", self.image_size, total_stride)
        layers: list[nn.Module] = [_conv(in_channels, _FIRST, 3, stride=stride)]
        self.stages = {"stem": "features.0"}
        channels = _FIRST
        for number, (expansion, outputs, blocks, stride) in enumerate(_ROWS, start=1):
            for index in range(blocks):
                layers.append(
                    InvertedResidual(channels, outputs, 1 if index else stride, expansion)
                )
                channels = outputs
            self.stages[f"stage{number}"] = f"features.{len(layers) - 1}"
        layers.append(_conv(channels, _LAST, 1))
        self.stages["head"] = f"features.{len(layers) - 1}"
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(_LAST, num_classes))
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.features(x)  # (N, 1280, 2, 2) for 28×28, (N, 1280, 7, 7) for 224×224
        return self.classifier(x.mean((2, 3)))

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
