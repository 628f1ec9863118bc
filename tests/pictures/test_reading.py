"""Files of every format are read; hostile ones are refused at once, by name and with a reason."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_pictures import GREY, bar, fitted, png
from PIL import Image

from cnnzoo.errors import CnnzooError
from cnnzoo.pictures import MAX_PIXELS, PictureError, prepare, read_picture


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_every_format(tmp_path, suffix):
    Image.fromarray(bar()).save(tmp_path / f"one.{suffix}")
    pixels = read_picture(tmp_path / f"one.{suffix}").pixels
    assert np.abs(pixels[..., 0].astype(int) - bar()).mean() < 2
    assert read_picture(str(tmp_path / f"one.{suffix}")).pixels.shape == pixels.shape


def test_photos_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    Image.fromarray(np.zeros((10, 20), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").pixels.shape == (20, 10, 1)


def test_upright_is_clockwise(saved):
    lying = Image.new("L", (20, 20), 0)
    lying.paste(255, (0, 0, 20, 10))  # bright on top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    pixels = fitted(saved(lying, "photo.jpg", exif=exif, quality=95), 20, 1)[0]
    assert pixels[:, 12:].min() > 200
    assert pixels[:, :8].max() < 50


HOSTILE = {
    "empty.png": (b"", "is empty"),
    "page.png": (b"%PDF-1.7\n%....", "PDF"),
    "drawing.png": (b'<?xml version="1.0"?><svg xmlns="x"/>', "SVG"),
    "naked.png": (b"<svg/>", "SVG"),
    "phone.jpg": (b"\x00\x00\x00\x24ftypheic\x00\x00\x00\x00", "HEIC"),
    "noise.png": (bytes(range(256)) * 4, "no known format"),
    "script.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no known format"),
    "header.png": (b"\x89PNG\r\n\x1a\n", "no known format|truncated"),
    "bomb.png": (png(8500, 8500), "too many pixels"),  # under Pillow's own limit
    "warned.png": (png(10_000, 12_000), "too many pixels"),  # Pillow only warns
    "refused.png": (png(40_000, 40_000), "too many pixels"),
    "thin.png": (png(2_000_000_000, 1), "too many pixels"),
    "short.png": (png(28, 28, b"\x00" * 50), "truncated"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once(tmp_path, name):
    content, says = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    start = time.perf_counter()
    with pytest.raises(CnnzooError, match=says) as caught:
        read_picture(tmp_path / name)
    assert name in str(caught.value)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.png", b"hello", "not a picture"),
        ("empty.jpg", b"", "is empty"),
        ("code.png", b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),  # Ghostscript is never run
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PictureError, match=said) as caught:
        read_picture(tmp_path / name)
    assert said in caught.value.reason
    assert name not in caught.value.reason


@pytest.mark.parametrize("side", [8001, 9500, 20_000])  # below and above Pillow's own limits
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, side, recwarn, monkeypatch):
    assert side**2 > MAX_PIXELS
    (tmp_path / "bomb.png").write_bytes(png(side, side, b"\0" * 100))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(CnnzooError, match="pixels"):
        read_picture(tmp_path / "bomb.png")
    assert not recwarn.list


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.bmp", "p.webp", "p.gif", "p.tiff"])
def test_a_picture_cut_short_is_refused(saved, name):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    path = saved(Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CnnzooError):
        read_picture(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tiff", "bmp"])
def test_truncation_anywhere_is_an_error_or_a_picture(tmp_path, suffix, recwarn):
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(whole)
    content, path, refused = whole.read_bytes(), tmp_path / f"cut.{suffix}", 0
    for length in range(0, len(content) - 1, max(1, len(content) // 40)):
        path.write_bytes(content[:length])
        try:
            read_picture(path)
        except CnnzooError as error:
            refused += path.name in str(error)
    assert refused >= 35
    assert not recwarn.list, "Pillow's own remarks are no news to anybody"


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), min_size=1, max_size=20))
def test_damaged_files_never_raise_anything_else(tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    Image.fromarray(bar()).save(path)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content)
    with contextlib.suppress(CnnzooError):  # some damage cannot be noticed; nothing else may leave
        read_picture(path)


def test_missing_folder_pipe_and_many_frames(tmp_path):
    for path, says in (
        (tmp_path / "no.png", "no picture"),
        (tmp_path, "folder"),
        ("a\0b", "no picture|read"),
    ):
        with pytest.raises(CnnzooError, match=says):
            read_picture(path)
    with pytest.raises(CnnzooError, match="not an ordinary file"):
        read_picture("/dev/zero")
    pages = [Image.new("L", (9, 9), shade) for shade in (0, 90, 200)]
    pages[0].save(tmp_path / "film.gif", save_all=True, append_images=pages[1:])
    with pytest.raises(CnnzooError, match="several pictures"):
        read_picture(tmp_path / "film.gif")
    assert read_picture(tmp_path / "film.gif", first_frame=True).pixels.max() == 0


def test_a_large_photo_is_read(tmp_path):
    Image.new("L", (7900, 8100), 200).save(tmp_path / "photo.png")
    assert MAX_PIXELS > 7900 * 8100
    ready = prepare(read_picture(tmp_path / "photo.png"), GREY, autofix=True)
    assert [w.name for w in ready.warnings] == ["blank"]
