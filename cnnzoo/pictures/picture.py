"""What a picture is here, once it is read, and the error of what is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from cnnzoo.errors import CnnzooError

MAX_PIXELS = 64_000_000  # above every phone's 50 megapixels, below what fills a laptop

Pixels: TypeAlias = np.ndarray[Any, Any]
ImageLike: TypeAlias = str | os.PathLike[str] | Image.Image | Pixels | Tensor


@dataclass(frozen=True)
class Picture:
    """One picture as plain bytes: ``pixels`` is uint8 (H, W, C), C = 1 (grey) or 3 (RGB)."""

    pixels: Pixels
    name: str


class PictureError(CnnzooError):
    """What cannot be read as a picture.

    ``reason`` is what is wrong, without the name of the picture and without advice, for lists of
    many: "is empty".
    """

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def unreadable(name: str, reason: str, advice: str = "") -> PictureError:
    """Return the error whose sentence puts a name before a reason and advice after it."""
    return PictureError(f"{name} {reason}{advice}.", reason)


def too_many_pixels(name: str, size: str = "") -> PictureError:
    """Return the error of a picture above `MAX_PIXELS`."""
    return unreadable(
        name,
        f"has too many pixels{size}",
        f"; at most {MAX_PIXELS:,} are decoded. "
        "Make it smaller first: a model sees only a few hundred pixels a side",
    )
