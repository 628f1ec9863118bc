"""Shift: the image moves by whole pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from cnnzoo.train.augment._affine import Affine, matrix_of
from cnnzoo.train.augment._base import Named, Parameter, whole_numbers
from cnnzoo.train.augment._gather import moved, take


class Shift(Affine, Named):
    """Move by up to so many whole pixels, down or up and right or left; edges are repeated.

    Both distances are uniform in -amount … amount. The edge pixels fill the gap, not zeros: images
    arrive preprocessed, where 0 is not the background. Of a figure that touches the edge this makes
    a streak.

    >>> images = torch.tensor([[1.0, 2.0, 3.0]]).view(1, 1, 1, 3)
    >>> Shift(1)(images, torch.tensor([[0.5, 0.9]])).flatten()  # one to the right
    tensor([1., 1., 2.])
    """

    parameter = Parameter("a whole number of pixels", 2, 0, 1024, whole=True)
    draws = 2  # down, right
    exact = True

    def distances(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return int64 (N,) down and (N,) to the right."""
        distance = whole_numbers(numbers, 2 * int(self.amount) + 1) - int(self.amount)
        return distance[:, 0], distance[:, 1]

    def apply(self, images: Tensor, numbers: Tensor) -> Tensor:
        height, width = images.shape[2:]
        down, right = self.distances(numbers)
        rows = moved(-down, height).clamp_(0, height - 1)
        columns = moved(-right, width).clamp_(0, width - 1)
        return take(images, rows, columns)

    def matrix(self, numbers: Tensor) -> Tensor:
        down, right = self.distances(numbers)
        one, zero = torch.ones_like(numbers[:, 0]), torch.zeros_like(numbers[:, 0])
        return matrix_of(one, zero, -right.float(), zero, one, -down.float())
