"""The layers and networks that are timed: ones that people run, under their own names.

    N images   C channels   H input size (square)   K filters   P output size (square)

Batches are such that one call of an ordinary implementation stays near 50 ms or below. A layer
that opens its network needs no gradient of its input, as in training.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A convolution, its bias, ReLU and max-pooling; square in everything.

    Attributes:
        opens: the first layer of its network: images come in, and nobody needs their gradient.
    """

    name: str
    batch: int
    channels: int
    size: int
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    pool: int = 2
    pool_stride: int = 2
    pool_padding: int = 0
    opens: bool = False

    @property
    def conv_size(self) -> int:
        """Rows of the convolution's output."""
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def pooled_size(self) -> int:
        """P: rows of the output."""
        return (self.conv_size + 2 * self.pool_padding - self.pool) // self.pool_stride + 1

    @property
    def covered_size(self) -> int:
        """Rows of the convolution that a pool window covers: the pool's floor drops the rest.

        Windows touch or overlap in every layer here.
        """
        reach = (self.pooled_size - 1) * self.pool_stride + self.pool - self.pool_padding
        return min(reach, self.conv_size)

    @property
    def flops(self) -> int:
        """Additions and multiplications of the convolution where it is covered, for the batch."""
        filter_size = self.channels * self.kernel**2
        return 2 * self.batch * self.filters * filter_size * self.covered_size**2

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.channels, self.size, self.size  # (N, C, H, H)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.filters, self.channels, self.kernel, self.kernel  # (K, C, R, R)

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.filters, self.pooled_size, self.pooled_size  # (N, K, P, P)

    @property
    def sizes(self) -> dict[str, int]:
        """The keywords of `cnnzoo.ops.conv_relu_maxpool`."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "pool_size": self.pool,
            "pool_stride": self.pool_stride,
            "pool_padding": self.pool_padding,
        }


@dataclass(frozen=True)
class Network:
    """A model of the zoo on its images, trained by SGD with momentum."""

    name: str  # as `cnnzoo.build` knows it
    batch: int
    channels: int = 1
    size: int = 28
    classes: int = 10


TUTORIAL_1 = Layer("tutorial conv1", 128, 1, 28, 32, 3, opens=True)
TUTORIAL_2 = Layer("tutorial conv2", 128, 32, 13, 32, 3)

LAYERS = (
    TUTORIAL_1,
    TUTORIAL_2,
    # LeCun et al. 1998
    Layer("lenet conv1", 128, 1, 28, 6, 5, padding=2, opens=True),
    Layer("lenet conv2", 128, 6, 14, 16, 5),
    Layer("cifar 3-64", 32, 3, 32, 64, 3, padding=1, opens=True),
    # Krizhevsky 2014, as torchvision has it
    Layer("alexnet conv1", 8, 3, 224, 64, 11, stride=4, padding=2, pool=3, opens=True),
    Layer("alexnet conv2", 4, 64, 27, 192, 5, padding=2, pool=3),
    Layer("alexnet conv5", 8, 256, 13, 256, 3, padding=1, pool=3),
    # Simonyan and Zisserman 2015, VGG-16: the last convolution of each block
    Layer("vgg block1", 1, 64, 224, 64, 3, padding=1),
    Layer("vgg block2", 1, 128, 112, 128, 3, padding=1),
    Layer("vgg block3", 1, 256, 56, 256, 3, padding=1),
    Layer("vgg block4", 1, 512, 28, 512, 3, padding=1),
    Layer("vgg block5", 2, 512, 14, 512, 3, padding=1),
    # He et al. 2016, without the batch normalisation between convolution and ReLU
    Layer("resnet stem", 4, 3, 224, 64, 7, 2, padding=3, pool=3, pool_padding=1, opens=True),
)

NETWORKS = (
    Network("mnist_cnn", 128),
    Network("single_layer_cnn", 128),
    Network("lenet5", 128),
)

# What `--quick` times: one of each kind, and small.
QUICK_LAYERS = (
    "tutorial conv1",
    "tutorial conv2",
    "lenet conv2",
    "cifar 3-64",
    "alexnet conv1",
    "vgg block5",
    "resnet stem",
)


def channels_sweep(channels: int) -> Layer:
    """C to C channels at 14 px, the batch such that wide layers stay short."""
    batch = 128 if channels <= 32 else max(2, 128 * 32**2 // channels**2)
    return Layer(f"{channels} channels", batch, channels, 14, channels, 3, padding=1)


def batch_sweep(batch: int) -> Layer:
    """The tutorial's second layer at another batch."""
    return Layer(f"batch {batch}", batch, 32, 13, 32, 3)


# So small that nothing but the call itself is left.
TINY = Layer("tiny", 1, 1, 4, 1, 3)
