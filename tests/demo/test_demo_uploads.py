"""Bytes from a browser: read when they are a picture, a sentence when they are not."""

import struct
import zlib

import numpy as np
import pytest
from drawn_pictures import SEVEN, drawn, png
from PIL import Image

from cnnzoo.demo.uploads import picture_of
from cnnzoo.errors import CnnzooError


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(side):
    """A file of 100 bytes that announces side × side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def huge_webp(side):
    """The same as WebP: an extended header with the size of the canvas, and no image."""
    size = struct.pack("<I", side - 1)[:3]
    extended = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size + size
    return b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "nothing arrived"),
        (b"I am a text, named digit.png", "not a picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that can be read"),
        (png(drawn(SEVEN))[:-300], "damaged or truncated"),
        (png(Image.new("L", (28, 28)), "tiff"), "not a picture that can be read"),
        (huge_png(9_000), "too many pixels"),  # above our limit, below Pillow's
        (huge_png(12_000), "too many pixels"),  # where Pillow warns
        (huge_png(60_000), "too many pixels"),  # where Pillow refuses
        (huge_webp(16_000), "save it again"),
    ],
    ids=["empty", "text", "svg", "cut", "tiff", "81MP", "144MP", "3600MP", "webp"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_picture_is_a_sentence(body, words):
    with pytest.raises(CnnzooError, match=words) as caught:
        picture_of(body)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_photo_is_turned_upright():
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # lies on its side
    assert picture_of(png(image, "jpeg", exif=exif)).pixels.shape[:2] == (40, 20)


def test_transparency_is_laid_on_white():
    picture = picture_of(png(Image.new("RGBA", (8, 8), (0, 0, 0, 0))))
    assert np.all(picture.pixels == 255)


def test_an_animation_is_its_first_frame():
    frames = [Image.new("L", (8, 8), 255), Image.new("L", (8, 8), 0)]
    body = png(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert np.all(picture_of(body).pixels == 255)
