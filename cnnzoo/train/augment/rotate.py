"""Rotate: the image turns about its centre."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnnzoo.train.augment._affine import Affine, matrix_of
from cnnzoo.train.augment._base import Named, Parameter, either_way


class Rotate(Affine, Named):
    """Turn by up to so many degrees, clockwise or back; bilinear, edges are repeated.

    The angle is uniform in ±amount; above 0 is clockwise.

    >>> images = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2)
    >>> Rotate(90)(images, torch.tensor([[0.0]])).round().view(2, 2)  # -90: counter-clockwise
    tensor([[2., 4.],
            [1., 3.]])
    """

    parameter = Parameter("degrees", 10, 0, 180)
    draws = 1

    def matrix(self, numbers: Tensor) -> Tensor:
        angle = either_way(numbers[:, 0]) * math.radians(self.amount)  # (N,)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        return matrix_of(cos, sin, zero, -sin, cos, zero)
