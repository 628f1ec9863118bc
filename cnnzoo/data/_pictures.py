"""One picture file, of any kind a person may have, to pixels of one size.

The rules are those of prediction, so that a model meets at work what it met in training: photos are
turned upright (EXIF), transparency is laid on white, proportions are kept, and the frame is filled
with the picture's own ground, the median of its border.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cnnzoo.errors import CnnzooError

Pixels: TypeAlias = NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)
MAX_PIXELS = 64_000_000  # above phones' 50 megapixels; decoded, some hundred megabytes
WORKING_SIDE = 256  # larger pictures are averaged down to about this before the bicubic step


def read_pixels(path: Path, image_size: int, channels: int) -> Pixels:
    """Read a picture as uint8 (C, S, S), S being ``image_size``.

    Raises:
        CnnzooError: the file is no picture, is damaged, or has too many pixels to decode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:  # before a byte of it is decoded
                    raise CnnzooError(f"{width} x {height} is more than {MAX_PIXELS:,} pixels")
                plain = _plain(ImageOps.exif_transpose(picture))
    except CnnzooError:
        raise
    except Exception as error:  # Pillow's decoders raise anything from SyntaxError to struct.error
        what = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error)
        raise CnnzooError(what or type(error).__name__) from error
    fitted = _fit(plain, image_size).convert("L" if channels == 1 else "RGB")
    return np.asarray(fitted).reshape(image_size, image_size, channels).transpose(2, 0, 1)


def _plain(picture: Image.Image) -> Image.Image:
    """Any mode to L (grey) or RGB, opaque."""
    if picture.mode.startswith("I"):  # 16 bits: Pillow's own conversion clips at 255
        return Image.fromarray(np.rint(np.asarray(picture) / 257.0).clip(0, 255).astype(np.uint8))
    if picture.mode == "F":
        raise CnnzooError("its pixels are floating point; save it with 8 bits")
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _fit(picture: Image.Image, side: int) -> Image.Image:
    """Scale into a square of ``side`` pixels, proportions kept, the rest filled with the ground."""
    factor = -(-max(picture.size) // max(WORKING_SIDE, 2 * side))
    if factor > 1:
        picture = picture.reduce(factor)
    width, height = picture.size
    if (width, height) == (side, side):
        return picture
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = np.asarray(picture).reshape(height, width, -1)
    ring = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])  # (2H + 2W, C)
    ground = tuple(int(value) for value in np.median(ring, axis=0))
    page = Image.new(picture.mode, (side, side), ground if len(ground) > 1 else ground[0])
    page.paste(
        picture.resize(size, Image.Resampling.BICUBIC),
        ((side - size[0]) // 2, (side - size[1]) // 2),
    )
    return page
