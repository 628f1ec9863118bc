"""Zoom: the image grows or shrinks about its centre."""

from __future__ import annotations

import torch
from torch import Tensor

from cnnzoo.train.augment._affine import Affine, matrix_of
from cnnzoo.train.augment._base import Named, Parameter, either_way


class Zoom(Affine, Named):
    """Scale by 1 ± up to this share, the same for width and height; bilinear, edges are repeated.

    The factor is uniform in 1 ± amount; above 1 the image grows.

    >>> images = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]]).view(1, 1, 1, 5)
    >>> Zoom(0.5)(images, torch.tensor([[0.0]])).flatten()  # half as wide
    tensor([0., 0., 2., 4., 4.])
    """

    parameter = Parameter("a share of the size", 0.1, 0, 0.9)
    draws = 1

    def matrix(self, numbers: Tensor) -> Tensor:
        inverse = 1 / (1 + either_way(numbers[:, 0]) * self.amount)  # (N,)
        zero = torch.zeros_like(inverse)
        return matrix_of(inverse, zero, zero, zero, inverse, zero)
