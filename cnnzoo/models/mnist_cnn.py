"""The tutorial's second network, parameter for parameter (90,678 at the defaults).

1×28×28 → conv 3×3, 32 → ReLU → pool 2×2 → 13×13 → conv 3×3, 32 → ReLU → pool 2×2 → 5×5
        → 800 → linear 100 → ReLU → linear 10.
"""

from __future__ import annotations

from torch import Tensor, nn

from cnnzoo.layers import build_layer, classify
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import final_size
from cnnzoo.registry import register_model


@register_model("mnist_cnn")
class MnistCNN(ImageClassifier):
    """Two conv-ReLU-maxpool layers and two linear ones: the tutorial's network.

    Kaiming-uniform weights for the convolutions and the first linear layer (He et al. 2015),
    Xavier-uniform for the last (Glorot and Bengio 2010), as in the tutorial.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; at least 10.
        conv_relu_maxpool: implementation of the layer (see `cnnzoo.layers.implementations`).
        classifier_head: implementation of the linear layers (see `cnnzoo.ops.classifier_head`).

    Raises:
        CnnzooError: the image is too small; a table shows in which layer it is used up.

    >>> import cnnzoo, torch
    >>> model = cnnzoo.build("mnist_cnn")
    >>> model(torch.rand(8, 1, 28, 28)).shape, sum(p.numel() for p in model.parameters())
    (torch.Size([8, 10]), 90678)
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 28,
        conv_relu_maxpool: str = "auto",
        classifier_head: str = "auto",
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        self.conv1 = build_layer("conv_relu_maxpool", conv_relu_maxpool, in_channels, 32, 3)
        self.conv2 = build_layer("conv_relu_maxpool", conv_relu_maxpool, 32, 32, 3)
        stages = {"conv1": self.conv1, "conv2": self.conv2}
        self.stages = {"conv1": "conv1", "conv2": "conv2"}
        height, width = final_size("mnist_cnn", self.image_size, stages)
        self.classifier_head = classifier_head
        self.fc1 = nn.Linear(32 * height * width, 100)
        self.fc2 = nn.Linear(100, num_classes)
        nn.init.kaiming_uniform_(self.fc1.weight, nonlinearity="relu")
        nn.init.xavier_uniform_(self.fc2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.conv1(x)  # (N, 32, 13, 13) for 28×28
        x = self.conv2(x)  # (N, 32, 5, 5)
        return classify(x, self.fc1, self.fc2, implementation=self.classifier_head)
