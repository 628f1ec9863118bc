import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from cnnzoo.data import Preprocessing
from cnnzoo.data._pictures import MAX_PIXELS, read_pixels
from cnnzoo.errors import CnnzooError


@pytest.fixture
def saved(tmp_path):
    def save(picture, name="picture.png", **options):
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def bomb(path, width, height):
    """Write a PNG of a few bytes that announces width x height pixels."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "p.png"),
        ("L", "p.png"),
        ("P", "p.gif"),
        ("RGB", "p.bmp"),
        ("RGBA", "p.png"),
        ("LA", "p.png"),
        ("CMYK", "p.jpg"),
        ("YCbCr", "p.jpg"),
        ("RGB", "p.webp"),
        ("L", "p.pgm"),
        ("RGBA", "p.tiff"),
    ],
)
def test_every_mode_and_format_becomes_bytes_of_one_size(saved, mode, name, channels):
    white = Image.new("RGB", (30, 20), "white").convert(mode)
    pixels = read_pixels(saved(white, name), 16, channels)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (channels, 16, 16)
    assert pixels.min() >= 253


def test_a_picture_of_the_right_size_keeps_its_bytes(saved):
    grey = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    assert np.array_equal(read_pixels(saved(Image.fromarray(grey)), 28, 1)[0], grey)


def test_transparency_becomes_white_whatever_colour_hides_in_it(saved):
    drawing = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    drawing.putpixel((5, 5), (255, 0, 0, 255))
    pixels = read_pixels(saved(drawing), 10, 3)
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 5, 5].tolist() == [255, 0, 0]
    palette = Image.new("P", (10, 10), 0)
    palette.putpalette([9, 9, 9] * 256)
    assert read_pixels(saved(palette, transparency=0), 10, 1).min() == 255


def test_proportions_are_kept_and_the_rest_is_the_pictures_own_ground(saved):
    wide = Image.new("RGB", (80, 40), (200, 100, 50))
    wide.paste((0, 0, 0), (30, 10, 50, 30))
    pixels = read_pixels(saved(wide), 40, 3)
    assert pixels[:, 0, 0].tolist() == pixels[:, 39, 39].tolist() == [200, 100, 50]
    dark = pixels[0] < 100
    assert dark.any(0).sum() == dark.any(1).sum() == 10  # a square stays one, half as large
    assert pixels[:, 0].std(1).max() == 0  # no seam, no frame


def test_a_line_stays_a_line(saved):
    assert read_pixels(saved(Image.new("L", (1000, 1), 7)), 28, 1).shape == (1, 28, 28)


def test_photos_are_turned_upright(saved):
    lying = Image.new("L", (20, 20), 0)
    lying.paste(255, (0, 0, 20, 10))  # bright on top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    pixels = read_pixels(saved(lying, "photo.jpg", exif=exif, quality=95), 20, 1)[0]
    assert pixels[:, 12:].min() > 200
    assert pixels[:, :8].max() < 50


def test_sixteen_bits_are_scaled_and_not_clipped(saved):
    deep = Image.fromarray(np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16))
    assert read_pixels(saved(deep), 2, 1)[0].tolist() == [[0, 100], [200, 255]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.png", b"hello", "not a picture"),
        ("empty.jpg", b"", "not a picture"),
        ("code.png", b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),  # Ghostscript is never run
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CnnzooError, match=said):
        read_pixels(tmp_path / name, 28, 1)


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.bmp", "p.webp", "p.gif", "p.tiff"])
def test_a_picture_cut_short_is_refused(saved, name):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    path = saved(Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CnnzooError):
        read_pixels(path, 28, 1)


@pytest.mark.parametrize("side", [8001, 9500, 20_000])  # below and above Pillow's own limits
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, side, recwarn, monkeypatch):
    assert side**2 > MAX_PIXELS
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(CnnzooError, match="pixels"):
        read_pixels(bomb(tmp_path / "bomb.png", side, side), 28, 1)
    assert not recwarn.list


def test_prediction_sees_what_training_saw(saved):
    pictures = pytest.importorskip("cnnzoo.pictures")
    random = np.random.default_rng(0)
    for shape, name in (((90, 50, 3), "a.png"), ((700, 900, 3), "b.jpg"), ((30, 64), "c.png")):
        path = saved(Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)), name)
        for channels in (1, 3):
            half = (0.5,) * channels
            prepared = pictures.prepare(
                pictures.read_picture(path), Preprocessing(channels, 28, 28, half, half)
            )
            mine = torch.from_numpy(read_pixels(path, 28, channels).copy())
            assert torch.equal(prepared.image, mine)
