"""Crop: the image is padded, and a window of its own size is cut out again."""

from __future__ import annotations

from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.train.augment._base import Named, Parameter, whole_numbers
from cnnzoo.train.augment._gather import moved, take


class Crop(Named):
    """Pad by so many pixels on every side by reflection, and cut out a random window.

    The augmentation of CIFAR (He et al. 2015, arXiv 1512.03385, section 4.2: 4 pixels). They pad
    with zeros; here the image is mirrored at its edge, as in K. Jordan's airbench (2024, arXiv
    2404.00498), for in preprocessed images 0 is not the background. `Shift` moves the image in the
    same way and repeats its edge: better for a figure on an even ground, such as a digit, of which
    a mirror may show parts twice.

    Raises:
        CnnzooError: when it is called with images of which a side is not longer than the padding.

    >>> import torch
    >>> images = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).view(1, 1, 2, 3)
    >>> Crop(1)(images, torch.tensor([[0.5, 0.0]])).view(2, 3)  # the left window
    tensor([[2., 1., 2.],
            [5., 4., 5.]])
    """

    parameter = Parameter("a whole number of pixels", 4, 0, 1024, whole=True)
    draws = 2  # top, left

    def apply(self, images: Tensor, numbers: Tensor) -> Tensor:
        height, width = images.shape[2:]
        pad = int(self.amount)
        if pad >= min(height, width):
            raise CnnzooError(
                f'"{self}" mirrors {pad} pixels, which takes images of more than {pad}x{pad}; '
                f'got {height}x{width}. Try "crop={min(height, width) - 1}" or less.'
            )
        corner = whole_numbers(numbers, 2 * pad + 1) - pad  # (N, 2), from the image's own corner
        rows = _mirrored(moved(corner[:, 0], height), height)
        columns = _mirrored(moved(corner[:, 1], width), width)
        return take(images, rows, columns)


def _mirrored(positions: Tensor, length: int) -> Tensor:
    """Reflect positions outside 0 … length - 1; the edge itself is not repeated."""
    last = length - 1
    return last - (last - positions.abs()).abs()
