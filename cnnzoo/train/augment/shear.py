"""Shear: the image slants, as handwriting does."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnnzoo.train.augment._affine import Affine, matrix_of
from cnnzoo.train.augment._base import Named, Parameter, either_way


class Shear(Affine, Named):
    """Slant to the right or left by up to so many degrees; bilinear, edges are repeated.

    The angle between an upright line and its slanted image is uniform in ±amount; above 0 the top
    leans to the right. Rows stay rows.

    >>> images = torch.tensor([[0.0, 1.0, 0.0]]).expand(1, 1, 3, 3)
    >>> Shear(45)(images, torch.tensor([[0.0]])).round().abs().view(3, 3)  # -45: to the left
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])
    """

    parameter = Parameter("degrees", 10, 0, 60)
    draws = 1

    def matrix(self, numbers: Tensor) -> Tensor:
        slant = (either_way(numbers[:, 0]) * math.radians(self.amount)).tan()  # (N,)
        one, zero = torch.ones_like(slant), torch.zeros_like(slant)
        return matrix_of(one, slant, zero, zero, one, zero)
