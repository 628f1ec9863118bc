"""The tutorial's first network: one convolution, its pooling, and a linear classifier.

1×28×28 → conv 3×3, 32 maps → ReLU → max-pool 2×2 → 32×13×13 = 5,408 → classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from cnnzoo.layers import build_layer
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import final_size
from cnnzoo.registry import register_model


@register_model("single_layer_cnn")
class SingleLayerCNN(ImageClassifier):
    """One conv-ReLU-maxpool layer and a linear classifier: the smallest CNN there is.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels.
        conv_relu_maxpool: implementation of the layer (see `cnnzoo.layers.implementations`).

    Raises:
        CnnzooError: the image is too small for a 3×3 convolution and a 2×2 pooling.

    >>> import cnnzoo, torch
    >>> cnnzoo.build("single_layer_cnn")(torch.rand(8, 1, 28, 28)).shape
    torch.Size([8, 10])
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 28,
        conv_relu_maxpool: str = "auto",
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        self.conv1 = build_layer("conv_relu_maxpool", conv_relu_maxpool, in_channels, 32, 3)
        height, width = final_size("single_layer_cnn", self.image_size, {"conv1": self.conv1})
        self.stages = {"conv1": "conv1"}
        self.fc1 = nn.Linear(32 * height * width, num_classes)
        nn.init.xavier_uniform_(self.fc1.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.conv1(x)  # (N, 32, 13, 13) for 28×28
        return self.fc1(x.flatten(1))
