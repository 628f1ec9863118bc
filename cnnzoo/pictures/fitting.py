"""Plain bytes to a model's size and channels: proportions kept, padded with the picture's ground.

A large picture is first averaged down to a working size, then scaled by bicubic interpolation:
fast, and a photo's noise averages out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PIL import Image
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.pictures.picture import Pixels

WORKING_SIDE = 256  # pixels, or twice the model's: enough to find the ink


class PreprocessingLike(Protocol):
    """What the pictures of a model look like: the part of its preprocessing that is needed here."""

    @property
    def channels(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def mean(self) -> Sequence[float]: ...
    @property
    def std(self) -> Sequence[float]: ...
    def __call__(self, images: Tensor) -> Tensor: ...


def fit(pixels: Pixels, frame: tuple[int, int], channels: int) -> Pixels:
    """Bring a picture to a size and to grey or RGB; one that has both keeps its bytes.

    Args:
        pixels: uint8 (H, W, C), C = 1 (grey) or 3 (RGB).
        frame: height and width to fill, in pixels. Proportions are kept; what is left over gets the
            picture's own ground, the median of its border.
        channels: 1 or 3.

    Returns:
        A new array, uint8 (channels, height, width).

    Raises:
        CnnzooError: other channels than a picture can have.

    >>> fit(np.zeros((20, 10, 3), np.uint8), (28, 28), channels=1).shape
    (1, 28, 28)
    """
    fitted = _into_frame(reduced(pixels, frame), frame)
    if fitted.shape[2] != channels:
        if channels not in (1, 3):
            raise CnnzooError(
                f"The model takes {channels} channels; pictures have 1 (grey) or 3 "
                "(RGB). Call the model itself with a tensor."
            )
        fitted = grey_bytes(fitted)[..., None] if channels == 1 else fitted.repeat(3, axis=2)
    return fitted.transpose(2, 0, 1).copy()  # (C, H, W)


def reduced(pixels: Pixels, frame: tuple[int, int]) -> Pixels:
    """Average (H, W, C) down by a whole number, to the working size for a frame."""
    side = max(WORKING_SIDE, 2 * max(frame))
    factor = -(-max(pixels.shape[:2]) // side)
    if factor == 1:
        return pixels
    channels = [
        np.asarray(Image.fromarray(channel).reduce(factor))
        for channel in np.ascontiguousarray(pixels.transpose(2, 0, 1))
    ]
    return np.stack(channels, axis=-1)


def grey_bytes(pixels: Pixels) -> Pixels:
    """Return the brightness of (H, W, C): uint8 (H, W)."""
    if pixels.shape[2] == 1:
        return pixels[..., 0]
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))  # (H, W)


def _into_frame(pixels: Pixels, frame: tuple[int, int]) -> Pixels:
    """Resize (H, W, C) into the frame, proportions kept, padded with the picture's own ground."""
    height, width = pixels.shape[:2]
    if (height, width) == frame:
        return pixels
    scale = min(frame[0] / height, frame[1] / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    channels = [
        np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BICUBIC))
        for channel in np.ascontiguousarray(pixels.transpose(2, 0, 1))
    ]
    scaled = np.stack(channels, axis=-1)  # (h, w, C)
    ring = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])  # (2H + 2W, C)
    page = np.empty((*frame, pixels.shape[2]), np.uint8)
    page[:] = np.median(ring, axis=0)
    top, left = (frame[0] - size[1]) // 2, (frame[1] - size[0]) // 2
    page[top : top + size[1], left : left + size[0]] = scaled
    return page
