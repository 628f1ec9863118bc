"""VGG: nothing but convolutions 3×3 and max-pools 2×2.

Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition,
ICLR 2015, arXiv:1409.1556, table 1 (A, B, D and E); with batch norm (Ioffe and Szegedy 2015) in
the `_bn` forms, as torchvision has them.

3×224×224 → five blocks, each halves the size → 512×7×7 → linear 4,096 → linear 4,096 → classes.

Small pictures get another classifier, as is usual for CIFAR: below 64 pixels the mean of each of
the 512 maps goes straight into one linear layer. Below 32 pixels the last pool is left out, for it
would find a single pixel; there a `_bn` form cannot be trained on a batch of one image.

`vgg_small` is the zoo's own, for 28 to 32 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import final_size
from cnnzoo.models._stack import Conv, Norm, conv_stack
from cnnzoo.registry import register_model

# Channels of each convolution, block by block; a pool ends a block.
_BLOCKS: dict[str, Sequence[Sequence[int]]] = {
    "vgg11": ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),
    "vgg13": ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),
    "vgg16": ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    "vgg19": ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}
_SMALL = ((32,), (64,), (128,) * 2)  # the start of vgg11, half as wide
_HIDDEN = 4096  # width of the hidden linear layers
_SMALLEST_LARGE = 64  # pixels from which on the classifier is the paper's


class VGG(ImageClassifier):
    """A VGG network; the registered names are made of it at the end of this file.

    Weights are drawn as torchvision draws them: convolutions Kaiming-normal by fan-out (He et al.
    2015), linear layers from a normal distribution of 0.01, biases 0. The one linear layer for
    small pictures is drawn as `torch.nn` does it: from 0.01 the deep ones would hardly start.

    Args:
        name: one of the table's, for messages.
        blocks: channels of each convolution, block by block.
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels.
        conv_relu_maxpool: implementation of the last convolution of each block.
        norm: where batch norms stand: ``"none"``, ``"before_relu"`` (then nothing is left for
            `conv_relu_maxpool`) or ``"after_pool"``.
        head: ``"paper"``: two hidden linear layers, or the mean of each map below 64 pixels;
            ``"linear"``: one linear layer on all pixels of the last maps.
        dropout: probability that a value is dropped after each hidden linear layer.

    Raises:
        CnnzooError: the image is too small; a table shows in which layer it is used up.
    """

    def __init__(
        self,
        name: str,
        blocks: Sequence[Sequence[int]],
        in_channels: int,
        num_classes: int,
        image_size: int | tuple[int, int],
        conv_relu_maxpool: str,
        norm: Norm,
        head: Literal["paper", "linear"] = "paper",
        dropout: float = 0.5,
    ) -> None:
        super().__init__(in_channels, num_classes, image_size)
        shortest = min(self.image_size)
        pools = len(blocks) if shortest >= 2 ** len(blocks) else len(blocks) - 1
        convs = [
            Conv(f"conv{b}_{n}", width, pool=(2, 2) if b <= pools and n == len(block) else None)
            for b, block in enumerate(blocks, start=1)
            for n, width in enumerate(block, start=1)
        ]
        stack = conv_stack(in_channels, convs, conv_relu_maxpool, norm)
        size = final_size(name, self.image_size, stack.parts)
        ends = {f"block{b}": f"conv{b}_{len(block)}" for b, block in enumerate(blocks, start=1)}
        self.stages = {stage: stack.paths[conv] for stage, conv in ends.items()}
        self.features = stack.features
        large = head == "paper" and shortest >= _SMALLEST_LARGE
        pooled = size if head == "linear" else (7, 7) if large else (1, 1)
        self.avgpool = nn.AdaptiveAvgPool2d(pooled)
        inputs = blocks[-1][-1] * pooled[0] * pooled[1]
        self.classifier = nn.Sequential(
            *(_hidden_layers(inputs, dropout) if large else ()),
            nn.Linear(_HIDDEN if large else inputs, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | ConvReluMaxPool):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif large and isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
        for key, parameter in self.named_parameters():
            if key.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, num_classes)."""
        self.check_input(x)
        x = self.features(x)  # (N, 512, 7, 7) for 224×224
        x = self.avgpool(x)
        return self.classifier(x.flatten(1))


def _hidden_layers(inputs: int, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in (inputs, _HIDDEN):
        layers += [nn.Linear(width, _HIDDEN), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    return layers


def _register(name: str, *, batch_norm: bool) -> None:
    full = f"{name}_bn" if batch_norm else name

    def build(
        in_channels: int = 3,
        num_classes: int = 1000,
        image_size: int | tuple[int, int] = 224,
        conv_relu_maxpool: str = "auto",
        dropout: float = 0.5,
    ) -> VGG:
        return VGG(
            full,
            _BLOCKS[name],
            in_channels,
            num_classes,
            image_size,
            conv_relu_maxpool,
            "before_relu" if batch_norm else "none",
            dropout=dropout,
        )

    build.__name__ = full
    norm = "with batch norm" if batch_norm else "without batch norm"
    build.__doc__ = f"VGG-{name[3:]} {norm}.\n\nThe arguments are those of `VGG`."
    register_model(full)(build)


for _name in _BLOCKS:
    _register(_name, batch_norm=False)
    _register(_name, batch_norm=True)


@register_model("vgg_small")
def vgg_small(
    in_channels: int = 3,
    num_classes: int = 10,
    image_size: int | tuple[int, int] = 32,
    conv_relu_maxpool: str = "auto",
    batch_norm: bool = True,
) -> VGG:
    """Four convolutions in the manner of VGG for small pictures, 0.26 million parameters.

    Made to be trained on a CPU in minutes: its batch norms stand behind the pools, so that
    convolution, ReLU and pool are one fused layer and the norms see a quarter of the pixels. One
    linear layer sees all pixels of the last maps.

    Args:
        in_channels: 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: height and width of the images, in pixels; at least 4.
        conv_relu_maxpool: implementation of the three pooled convolutions.
        batch_norm: normalise after each convolution and its pool.

    Raises:
        CnnzooError: the image is too small; a table shows in which layer it is used up.

    >>> import cnnzoo, torch
    >>> cnnzoo.build("vgg_small", in_channels=1, image_size=28)(torch.rand(8, 1, 28, 28)).shape
    torch.Size([8, 10])
    """
    return VGG(
        "vgg_small",
        _SMALL,
        in_channels,
        num_classes,
        image_size,
        conv_relu_maxpool,
        "after_pool" if batch_norm else "none",
        head="linear",
    )
