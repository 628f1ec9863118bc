"""What an augmentation makes of images: look before you train with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from cnnzoo.plots._checks import images_of, positive
from cnnzoo.plots._figure import grid

VERSIONS = 7  # a row: the original, and these


class AugmentationLike(Protocol):
    """A pure function of images and uniform numbers, as `augmentation_sheet` calls it."""

    @property
    def draws(self) -> int: ...
    def __call__(self, images: Any, numbers: Any) -> Any: ...


def augmentation_sheet(
    images: Any, augmentation: AugmentationLike, key: Sequence[int] = (0,), *, count: int = 6
) -> Figure:
    """Draw images, one a row: first the original, then seven augmented versions.

    Augmentation comes after preprocessing in training. Here it gets the bytes as numbers 0-1; the
    picture is the same, because preprocessing changes each channel by a factor and an offset only.

    Args:
        images: uint8 (N, C, H, W), C = 1 (grey) or 3 (RGB); the first ones are drawn.
        augmentation: from ``cnnzoo.train.augment.make_augmentation``; its ``str()`` is the title.
        key: whole numbers that decide what is drawn; equal keys draw equal pictures.
        count: images at most.

    Raises:
        CnnzooError: not such images, or none.

    >>> from cnnzoo.train.augment import make_augmentation
    >>> images = np.zeros((3, 1, 8, 8), np.uint8)
    >>> len(augmentation_sheet(images, make_augmentation("shift=2")).axes)
    24
    """
    import torch  # a figure alone does without it; an augmentation is made of it

    originals = images_of(images)[: positive(count)]
    n = len(originals)
    figure, axes = grid(
        n * (1 + VERSIONS), cell=(0.9, 0.9), title=str(augmentation), columns=1 + VERSIONS
    )
    drawn = np.random.default_rng(list(key)).random((n * VERSIONS, augmentation.draws), np.float32)
    before = torch.from_numpy(originals.repeat(VERSIONS, 0)).float() / 255  # (N * 7, C, H, W)
    after = augmentation(before, torch.from_numpy(drawn)).numpy()
    after = after.reshape(n, VERSIONS, *originals.shape[1:])  # (N, 7, C, H, W)
    rows = np.concatenate([originals[:, None] / np.float32(255), after], 1)  # (N, 8, C, H, W)
    for place, pixels in enumerate(rows.reshape(-1, *originals.shape[1:])):
        ax = next(axes)
        shown = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0).clip(0, 1)
        ax.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        if place == 0:
            ax.set_title("original", fontsize=9, pad=3)
    return figure
