"""A PIL image of any mode to plain bytes: uint8 (H, W, 1) when it is grey, (H, W, 3) in colour.

Transparency is laid on white, 16-bit grey becomes 8-bit.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from cnnzoo.pictures.picture import Pixels, unreadable


def bytes_of_image(picture: Image.Image, name: str) -> Pixels:
    """Return uint8 (H, W, C), or raise a `PictureError` that calls the picture ``name``."""
    mode = picture.mode
    if mode.startswith("I") or mode == "F":
        values = np.asarray(picture).astype(np.float64)
        # "I" is what Pillow makes of 16-bit files in older versions; "F" holds 0-1 or 0-255.
        top = 65535.0 if mode.startswith("I;16") else _smallest_range(values, mode, name)
        return np.rint(values * (255.0 / top)).astype(np.uint8)[..., None]  # (H, W, 1)
    if mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
    elif mode in ("1", "L"):
        return np.asarray(picture.convert("L"))[..., None]  # (H, W, 1)
    pixels = np.asarray(picture.convert("RGB"))  # (H, W, 3)
    # A palette or a layer of transparency says nothing about colour: its colours do.
    says_colour = mode not in ("P", "PA", "LA", "La", "1", "L")
    return pixels if says_colour or has_colour(pixels) else pixels[..., :1]


def _smallest_range(values: Pixels, mode: str, name: str) -> float:
    low, high = float(values.min()), float(values.max())
    for top in (1.0, 255.0) if mode == "F" else (255.0, 65535.0):
        if low >= 0 and high <= top:
            return top
    raise unreadable(
        name,
        f"has values from {low:g} to {high:g} (mode {mode})",
        f"; expected {'0-1 or 0-255' if mode == 'F' else '0-255 or 0-65535'}",
    )


def has_colour(pixels: Pixels) -> bool:
    """Say whether any channel of (H, W, C) differs from the first."""
    return bool((pixels != pixels[..., :1]).any())
