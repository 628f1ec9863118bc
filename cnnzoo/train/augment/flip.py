"""Flip: left becomes right."""

from __future__ import annotations

import torch
from torch import Tensor

from cnnzoo.train.augment._affine import Affine, matrix_of
from cnnzoo.train.augment._base import Named, Parameter


class Flip(Affine, Named):
    """Mirror left and right with this probability.

    For things that look alike from both sides, such as shoes; not for digits.

    >>> images = torch.tensor([[1.0, 2.0, 3.0]]).view(1, 1, 1, 3)
    >>> Flip()(images, torch.tensor([[0.4]])).flatten()
    tensor([3., 2., 1.])
    """

    parameter = Parameter("a probability", 0.5, 0, 1)
    draws = 1
    exact = True

    def apply(self, images: Tensor, numbers: Tensor) -> Tensor:
        flipped = numbers[:, 0] < self.amount  # (N,)
        return torch.where(flipped[:, None, None, None], images.flip(3), images)

    def matrix(self, numbers: Tensor) -> Tensor:
        one, zero = torch.ones_like(numbers[:, 0]), torch.zeros_like(numbers[:, 0])
        return matrix_of(
            torch.where(numbers[:, 0] < self.amount, -one, one), zero, zero, zero, one, zero
        )
