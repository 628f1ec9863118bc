"""Affine maps of images: a 2x3 matrix an image, one bilinear interpolation.

A matrix answers "where does this pixel of the result come from": (x, y) of the image = M (x, y, 1)
of the result, both in pixels from the centre, x to the right, y down. In pixels, not in the -1…1 of
``affine_grid``, so that a rotation stays one when the image is not square.

Points outside the image take the nearest edge pixel: images arrive preprocessed, where 0 is not
the background.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnzoo.train.augment._base import Augmentation


class Affine(Augmentation):
    """An augmentation that is a matrix; where several follow each other, `Chain` fuses them.

    Attributes:
        exact: `apply` is overridden with one that moves whole pixels and interpolates nothing.
    """

    exact: ClassVar[bool] = False

    @abstractmethod
    def matrix(self, numbers: Tensor) -> Tensor:
        """Return (N, 2, 3) for numbers (N, D)."""

    def apply(self, images: Tensor, numbers: Tensor) -> Tensor:
        return sample(images, self.matrix(numbers))


class Fused(Affine):
    """Several affine augmentations as one: one interpolation blurs less, and costs less."""

    def __init__(self, members: Sequence[Affine]) -> None:
        self.members = members
        self.draws = sum(member.draws for member in members)

    def matrix(self, numbers: Tensor) -> Tensor:
        parts = numbers.split([member.draws for member in self.members], 1)
        each = [member.matrix(part) for member, part in zip(self.members, parts, strict=True)]
        return reduce(compose, each)

    def __str__(self) -> str:
        return ",".join(map(str, self.members))


def matrix_of(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor, f: Tensor) -> Tensor:
    """Return ((a b c) (d e f)), (N, 2, 3), from six (N,)."""
    return torch.stack([a, b, c, d, e, f], 1).view(-1, 2, 3)


def compose(first: Tensor, then: Tensor) -> Tensor:
    """Return the matrices (N, 2, 3) of applying ``first`` to the image, and ``then`` to that.

    Matrices lead from the result back to the image, so ``then`` acts on a point before ``first``.
    Written out: a batched product (``bmm``) may round differently when N changes.
    """
    x, y, offset = first[:, :, :1], first[:, :, 1:2], first[:, :, 2:]  # each (N, 2, 1)
    product = x * then[:, :1] + y * then[:, 1:]  # (N, 2, 3)
    return torch.cat([product[:, :, :2], product[:, :, 2:] + offset], 2)


def sample(images: Tensor, matrix: Tensor) -> Tensor:
    """Return images (N, C, H, W) seen through matrices (N, 2, 3)."""
    height, width = images.shape[2:]
    x = torch.arange(width, device=matrix.device) - (width - 1) / 2  # (W,), pixels from the centre
    y = torch.arange(height, device=matrix.device) - (height - 1) / 2  # (H,)
    # grid_sample counts from -1 at the left border of the first pixel to 1 at the right of the last
    unit = torch.stack([matrix[:, 0] * (2 / width), matrix[:, 1] * (2 / height)], 1)  # (N, 2, 3)
    along = unit[:, :, 0, None, None] * x  # (N, 2, 1, W)
    down = unit[:, :, 1, None, None] * y[:, None] + unit[:, :, 2, None, None]  # (N, 2, H, 1)
    grid = (along + down).permute(0, 2, 3, 1)  # (N, H, W, 2)
    moved = F.grid_sample(images.float(), grid, "bilinear", "border", align_corners=False)
    # An image that stands still keeps its bits; grid_sample would move it by 1e-6 of a pixel.
    still = (matrix == torch.eye(2, 3, device=matrix.device)).flatten(1).all(1)  # (N,)
    return torch.where(still[:, None, None, None], images, moved.to(images.dtype))
