"""A data set: circles, squares and triangles, white on black, of every size and anywhere.

Drawn when it is loaded, from a seed: the same bytes every time, and no file to download.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from cnnzoo import register_dataset
from cnnzoo.data import DataSplits, make_splits

CLASSES = ("circle", "square", "triangle")
_SIDE = 28
_SHAPES, _TEST_SHAPES = 900, 300


@register_dataset("shapes")
def shapes(root: str | os.PathLike[str] | None = None, seed: int = 0) -> DataSplits:
    """Drawn circles, squares and triangles, 900 + 300 grey 28x28.

    Args:
        root: not used; taken so that changing the name is all it takes to change the data.
        seed: of the sizes, places and noise.

    Returns:
        Train and test set, as many of each class.
    """
    random = np.random.default_rng(seed)
    train = _draw(_SHAPES, random)
    test = _draw(_TEST_SHAPES, random)
    return make_splits("shapes", CLASSES, train, test)


def _draw(count: int, random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (count, 28, 28) and labels (count,)."""
    labels = np.arange(count) % len(CLASSES)
    radius = random.uniform(5, 9, count)  # of the circle around the shape, in pixels
    centre = random.uniform(radius, _SIDE - 1 - radius, (2, count))  # row, column
    rows, columns = np.mgrid[:_SIDE, :_SIDE][:, None] - centre[:, :, None, None]
    r = radius[:, None, None]
    inside = np.where(
        (labels == 0)[:, None, None],
        rows**2 + columns**2 <= r**2,
        np.where(
            (labels == 1)[:, None, None],
            np.maximum(np.abs(rows), np.abs(columns)) <= r / np.sqrt(2),
            # the point on top, the base at half the radius below the centre
            (rows <= r / 2) & (np.sqrt(3) * np.abs(columns) <= rows + r),
        ),
    )
    noise = random.integers(0, 40, inside.shape)
    return np.where(inside, 255 - noise, noise).astype(np.uint8), labels
