"""Whole pixels, moved: every row and column of the result comes from one of the image."""

from __future__ import annotations

import torch
from torch import Tensor


def take(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return images whose pixel (y, x) is the pixel (rows[y], columns[x]) of the image.

    Args:
        images: (N, C, H, W).
        rows: int64 (N, H), each 0 … H - 1.
        columns: int64 (N, W), each 0 … W - 1.
    """
    n, channels, height, width = images.shape
    index = rows[:, :, None] * width + columns[:, None, :]  # (N, H, W)
    index = index.view(n, 1, height * width).expand(n, channels, height * width)
    return images.flatten(2).gather(2, index).view(images.shape)


def moved(offset: Tensor, length: int) -> Tensor:
    """Return int64 (N, length): positions counted from ``offset`` (N,), also outside the image."""
    return offset[:, None] + torch.arange(length, device=offset.device)
