"""LeNet-5.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition,
Proceedings of the IEEE 86 (11), 1998, section II.B and figure 2.

1×28×28 (padded to 32×32) → conv 5×5, 6 → pool → 14×14 → conv 5×5, 16 → pool → 5×5
        → 400 → linear 120 → linear 84 → linear 10.

Differences from the paper: each map of the second convolution sees all maps of the first, pooling
has no weights of its own, and the output is linear rather than radial basis functions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.layers import build_layer, classify
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import final_size
from cnnzoo.registry import register_model


@register_model("lenet5", aliases=("lenet",))
class LeNet5(ImageClassifier):
    """LeNet-5 with ReLU and max-pooling, or in its classic form with tanh and average pooling.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels, before the padding by 2.
        conv_relu_maxpool: implementation of the layer in the modern form.
        classifier_head: implementation of the linear layers in the modern form (see
            `cnnzoo.ops.classifier_head`).
        form: ``"modern"`` (ReLU, max-pool) or ``"classic"`` (tanh, average pool).

    Raises:
        CnnzooError: the image is too small, or ``form`` is neither of the two.

    >>> import cnnzoo, torch
    >>> cnnzoo.build("lenet5", form="classic")(torch.rand(8, 1, 28, 28)).shape
    torch.Size([8, 10])
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 28,
        conv_relu_maxpool: str = "auto",
        form: Literal["modern", "classic"] = "modern",
        classifier_head: str = "auto",
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        if form == "modern":
            self.activation: Callable[[Tensor], Tensor] = F.relu
            self.conv1 = build_layer(
                "conv_relu_maxpool", conv_relu_maxpool, in_channels, 6, 5, padding=2
            )
            self.conv2 = build_layer("conv_relu_maxpool", conv_relu_maxpool, 6, 16, 5)
        elif form == "classic":
            self.activation = torch.tanh
            self.conv1 = _tanh_average(in_channels, 6, padding=2)
            self.conv2 = _tanh_average(6, 16, padding=0)
        else:
            raise CnnzooError(f'form is "modern" or "classic"; got {form!r}.')
        stages = {"conv1": self.conv1, "conv2": self.conv2}
        self.stages = {"conv1": "conv1", "conv2": "conv2"}
        height, width = final_size("lenet5", self.image_size, stages)
        self.classifier_head = classifier_head
        self.fc1 = nn.Linear(16 * height * width, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.conv1(x)  # (N, 6, 14, 14) for 28×28
        x = self.conv2(x)  # (N, 16, 5, 5)
        if self.activation is F.relu:
            head = self.fc1, self.fc2, self.fc3  # 400 → 120 → 84 → classes
            return classify(x, *head, implementation=self.classifier_head)
        x = self.activation(self.fc1(x.flatten(1)))  # (N, 120)
        x = self.activation(self.fc2(x))  # (N, 84)
        return self.fc3(x)


def _tanh_average(in_channels: int, out_channels: int, padding: int) -> nn.Sequential:
    """Convolution 5×5, average pooling 2×2, tanh: a stage of the classic form."""
    conv = nn.Conv2d(in_channels, out_channels, 5, padding=padding)
    return nn.Sequential(OrderedDict(conv=conv, pool=nn.AvgPool2d(2), tanh=nn.Tanh()))
