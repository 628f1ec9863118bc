"""An array of any layout and range to plain bytes: uint8 (H, W, C).

What could be meant in two ways is refused: nobody sees a wrong guess in a prediction.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from cnnzoo.errors import CnnzooError
from cnnzoo.pictures.modes import bytes_of_image
from cnnzoo.pictures.picture import MAX_PIXELS, Pixels, too_many_pixels

EXPECTED = (
    "Expected the path of a picture, a PIL image, or an array or tensor (H, W), (C, H, W) or "
    "(H, W, C) with 1, 3 or 4 channels, uint8 in 0-255 or floating point in 0-1"
)


def bytes_of_array(array: Pixels, name: str) -> Pixels:
    """Return uint8 (H, W, C), or raise an error that calls the array ``name``."""
    shape = tuple(array.shape)
    if array.ndim == 4 or (
        array.ndim == 3 and shape[0] not in (1, 3, 4) and shape[2] not in (1, 3, 4)
    ):
        raise CnnzooError(
            f"{EXPECTED}; {name} has the shape {shape}. Is it a batch? Pass one image of it, "
            "or all of them to predict_many."
        )
    if array.ndim not in (2, 3) or array.size == 0:
        raise CnnzooError(f"{EXPECTED}; {name} has the shape {shape}.")
    if array.ndim == 3 and shape[0] in (1, 3, 4) and shape[2] in (1, 3, 4):
        raise CnnzooError(
            f"{name} of shape {shape} could be (C, H, W) or (H, W, C); "
            "pass (H, W) or a PIL image instead."
        )
    if array.size > 4 * MAX_PIXELS:
        raise too_many_pixels(name, f" {shape}")
    values = _to_uint8(array, name)
    if values.ndim == 2:
        values = values[..., None]
    elif shape[0] in (1, 3, 4):
        values = values.transpose(1, 2, 0)  # (H, W, C)
    if values.shape[2] == 4:
        return bytes_of_image(Image.fromarray(np.ascontiguousarray(values), "RGBA"), name)
    return values


def _to_uint8(array: Pixels, name: str) -> Pixels:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind != "f":
        raise CnnzooError(
            f"{EXPECTED}; {name} is {array.dtype}. If its values are 0-255, convert it to uint8."
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # written so that NaN fails too
        raise CnnzooError(
            f"{EXPECTED}; {name} has values from {low:g} to {high:g}. Pass the raw picture, not a "
            "normalised one; divide by 255 if its values are 0-255."
        )
    return np.rint(array.clip(0, 1) * 255).astype(np.uint8)
