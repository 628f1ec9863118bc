"""Any source to plain bytes, or a sentence that says why not.

Files come from anywhere. One is opened only in a common raster format, and decoded only when its
header announces no more than `MAX_PIXELS`; whatever a decoder raises becomes a `PictureError`.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.pictures.arrays import EXPECTED, bytes_of_array
from cnnzoo.pictures.modes import bytes_of_image
from cnnzoo.pictures.picture import (
    MAX_PIXELS,
    ImageLike,
    Picture,
    PictureError,
    too_many_pixels,
    unreadable,
)

EXPECTED_FILE = "; a picture file was expected"
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
# Files are recognised by their contents; where a folder is searched, their names say which to try.
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
)


def read_picture(image: ImageLike, *, first_frame: bool = False) -> Picture:
    """Turn any kind of picture into plain bytes, or say in one sentence why not.

    A file is opened only in a common raster format (`FORMATS`) and decoded only when width x
    height is at most `MAX_PIXELS`. Photos are turned upright (EXIF), transparency is laid on white,
    16-bit grey becomes 8-bit.

    Args:
        image: a path; a PIL image of any mode; an array or a tensor (H, W), (C, H, W) or (H, W, C).
        first_frame: of an animation or several pages take the first, instead of refusing them.

    Returns:
        The picture, uint8 (H, W, 1) when it is grey and (H, W, 3) when it is in colour.

    Raises:
        PictureError: for a file that is missing, empty, truncated, too large or no picture.
        CnnzooError: for an array whose layout or range is ambiguous.

    >>> read_picture(np.zeros((28, 28), np.uint8)).pixels.shape
    (28, 28, 1)
    """
    if isinstance(image, str | os.PathLike):
        return _from_file(Path(image), first_frame)
    if isinstance(image, Image.Image):
        return _from_pil(image, getattr(image, "filename", "") or "the PIL image", first_frame)
    if isinstance(image, Tensor):
        if image.dtype == torch.bfloat16:
            image = image.float()
        return Picture(bytes_of_array(image.detach().cpu().numpy(), "the tensor"), "the tensor")
    if isinstance(image, np.ndarray):
        return Picture(bytes_of_array(image, "the array"), "the array")
    raise CnnzooError(f"{EXPECTED}; got {type(image).__name__}.")


def _from_file(path: Path, first_frame: bool) -> Picture:
    name, head = f'"{path}"', b""
    try:
        if path.is_dir():
            raise unreadable(name, "is a folder", EXPECTED_FILE)
        if not path.exists():
            raise PictureError(f"There is no picture {name}.", "is not there")
        if not path.is_file():  # a pipe or a device would block or never end
            raise unreadable(name, "is not an ordinary file", EXPECTED_FILE)
        with path.open("rb") as file:
            head = file.read(64)
            if not head:
                raise unreadable(name, "is empty", EXPECTED_FILE)
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's remarks about odd metadata
                # Pillow only warns above its own limit: refuse as well.
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(file, formats=FORMATS) as picture:
                    return _from_pil(picture, name, first_frame)
    except CnnzooError:
        raise
    except UnidentifiedImageError:
        raise unreadable(
            name,
            f"is not a picture that can be read: {_kind(head)}",
            f". Save it as PNG or JPEG (understood: {', '.join(FORMATS)})",
        ) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise too_many_pixels(name) from None
    except Exception as error:  # the system's, or what Pillow makes of a damaged header
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise unreadable(name, f"cannot be read: {reason}") from error


def _kind(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"%pdf"):
        return "it is a PDF document"
    if text.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        return "it is an SVG or XML drawing, not a raster picture"
    if head[4:8] == b"ftyp":
        return "it is a HEIC, AVIF or video file"
    return "its contents are of no known format, whatever its name says, or are damaged"


def _from_pil(picture: Image.Image, name: str, first_frame: bool) -> Picture:
    width, height = picture.size
    if width * height == 0:
        raise unreadable(name, f"has no pixels: {width} x {height}")
    if width * height > MAX_PIXELS:
        raise too_many_pixels(name, f" ({width} x {height})")
    try:
        # A phone's JPEG (MPO) carries a preview as its second frame; other frames are pictures.
        one = first_frame or picture.format in ("JPEG", "MPO")
        if not one and getattr(picture, "is_animated", False):
            raise unreadable(name, "holds several pictures", "; save the one that is meant")
        picture.load()
        picture = ImageOps.exif_transpose(picture)
        return Picture(bytes_of_image(picture, name), name)
    except CnnzooError:
        raise
    except Exception as error:  # Pillow's decoders raise anything from SyntaxError to struct.error
        raise unreadable(
            name,
            f"is damaged or truncated and cannot be read ({error})",
            ". Save it again, as PNG or JPEG",
        ) from error
