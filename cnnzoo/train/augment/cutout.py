"""Cutout: a square of the image is hidden."""

from __future__ import annotations

import torch
from torch import Tensor

from cnnzoo.train.augment._base import Named, Parameter, whole_numbers


class Cutout(Named):
    """Hide a square with sides of so many pixels.

    DeVries and Taylor 2017, arXiv 1708.04552. The square's centre is a pixel of the image, any with
    the same probability, so the square may hang over the edge. Its pixels become the mean of the
    image, channel by channel: it tells the network nothing, whatever the preprocessing.

    >>> images = torch.arange(9.0).view(1, 1, 3, 3)
    >>> Cutout(2)(images, torch.tensor([[0.4, 0.9]])).view(3, 3)
    tensor([[0., 4., 4.],
            [3., 4., 4.],
            [6., 7., 8.]])
    """

    parameter = Parameter("a whole number of pixels", 8, 0, 1024, whole=True)
    draws = 2  # row, column of the centre

    def apply(self, images: Tensor, numbers: Tensor) -> Tensor:
        height, width = images.shape[2:]
        rows = self._hidden(numbers[:, 0], height)[:, None, :, None]
        columns = self._hidden(numbers[:, 1], width)[:, None, None, :]
        return torch.where(rows & columns, _means(images)[:, :, None, None], images)

    def _hidden(self, numbers: Tensor, length: int) -> Tensor:
        """Return which of the positions 0 … length - 1 are hidden, (N, length)."""
        side = int(self.amount)
        start = whole_numbers(numbers, length) - side // 2  # (N,); an even side leans to 0
        positions = torch.arange(length, device=numbers.device)
        return (positions >= start[:, None]) & (positions < start[:, None] + side)


def _means(images: Tensor) -> Tensor:
    """Return the means (N, C) of images (N, C, H, W).

    Pairs are added until one number is left: ``mean`` itself may add in another order, and so
    differ in the last bit, when there are more images or the memory format is another.
    """
    values = images.float().flatten(2)  # (N, C, H*W)
    count = values.shape[2]
    while (length := values.shape[2]) > 1:
        half = length // 2
        pairs = values[:, :, :half] + values[:, :, half : 2 * half]
        values = torch.cat([pairs, values[:, :, 2 * half :]], 2) if length % 2 else pairs
    return (values[:, :, 0] / count).to(images.dtype)
