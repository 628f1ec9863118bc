"""A PIL image of every mode shows what it showed: nothing is clipped, hidden or made up."""

from __future__ import annotations

import numpy as np
import pytest
from known_pictures import bar, fitted
from PIL import Image

from cnnzoo.pictures import read_picture

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "F"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_shows_the_same_picture(mode):
    grey = Image.fromarray(bar())
    picture = grey.convert("RGB").convert("LAB") if mode == "LAB" else None
    if picture is None:
        picture = grey.convert("RGBA").convert(mode) if mode == "RGBa" else grey.convert(mode)
    pixels = read_picture(picture).pixels
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == (1 if mode in ("1", "L", "LA", "P", "F") else 3)
    assert np.abs(pixels.astype(int) - bar()[..., None]).max() <= 3


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
    pixels = fitted(saved(white, name), 16, channels)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (channels, 16, 16)
    assert pixels.min() >= 253


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 28 * 28).reshape(28, 28).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    for image in (tmp_path / "deep.png", Image.fromarray(values)):
        pixels = read_picture(image).pixels[..., 0]
        assert np.abs(pixels - values / 257).max() <= 0.5


def test_sixteen_bits_are_multiples_of_257(saved):
    deep = Image.fromarray(np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16))
    assert fitted(saved(deep), 2, 1)[0].tolist() == [[0, 100], [200, 255]]


def test_transparency_is_white(tmp_path):
    layer = np.zeros((10, 10, 4), np.uint8)
    layer[3:6, 3:6] = (255, 0, 0, 255)
    Image.fromarray(layer, "RGBA").save(tmp_path / "layer.png")
    for image in (tmp_path / "layer.png", layer, layer.transpose(2, 0, 1)):
        pixels = read_picture(image).pixels
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert pixels[4, 4].tolist() == [255, 0, 0]


def test_transparency_becomes_white_whatever_colour_hides_in_it(saved):
    drawing = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    drawing.putpixel((5, 5), (255, 0, 0, 255))
    pixels = fitted(saved(drawing), 10, 3)
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 5, 5].tolist() == [255, 0, 0]
    palette = Image.new("P", (10, 10), 0)
    palette.putpalette([9, 9, 9] * 256)
    assert fitted(saved(palette, transparency=0), 10, 1).min() == 255
