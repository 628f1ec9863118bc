"""Pictures of every kind are read, hostile ones are refused, warnings fire where they should."""

from __future__ import annotations

import contextlib
import struct
import time
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from torchvision.datasets import MNIST

from cnnzoo.data import Preprocessing, load_data
from cnnzoo.errors import CnnzooError
from cnnzoo.pictures import MAX_PIXELS, look, prepare, read_picture

GREY = Preprocessing(1, 28, 28, (0.1307,), (0.3081,))  # MNIST's statistics
COLOUR = Preprocessing(3, 32, 32, (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))  # CIFAR-10's


def names(image, preprocessing=GREY) -> set[str]:
    return {warning.name for warning in look(read_picture(image), preprocessing)}


def fixed(image, preprocessing=GREY) -> np.ndarray:
    return prepare(read_picture(image), preprocessing, autofix=True).image.numpy()


def bar(side: int = 280) -> np.ndarray:
    """A light "1" as MNIST would draw it: 20 of 28 high, its middle on pixel (14, 14)."""
    page, s = np.zeros((side, side), np.uint8), side // 28
    page[4 * s : 25 * s, 13 * s : 16 * s] = 255
    return page


# --- reading -----------------------------------------------------------------------------------

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


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_every_format(tmp_path, suffix):
    Image.fromarray(bar()).save(tmp_path / f"one.{suffix}")
    pixels = read_picture(tmp_path / f"one.{suffix}").pixels
    assert np.abs(pixels[..., 0].astype(int) - bar()).mean() < 2
    assert read_picture(str(tmp_path / f"one.{suffix}")).pixels.shape == pixels.shape


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 28 * 28).reshape(28, 28).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    for image in (tmp_path / "deep.png", Image.fromarray(values)):
        pixels = read_picture(image).pixels[..., 0]
        assert np.abs(pixels - values / 257).max() <= 0.5


def test_transparency_is_white(tmp_path):
    layer = np.zeros((10, 10, 4), np.uint8)
    layer[3:6, 3:6] = (255, 0, 0, 255)
    Image.fromarray(layer, "RGBA").save(tmp_path / "layer.png")
    for image in (tmp_path / "layer.png", layer, layer.transpose(2, 0, 1)):
        pixels = read_picture(image).pixels
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert pixels[4, 4].tolist() == [255, 0, 0]


def test_photos_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    Image.fromarray(np.zeros((10, 20), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").pixels.shape == (20, 10, 1)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=5, max_side=9)))
def test_array_layouts_agree(page):
    grey = read_picture(page).pixels
    assert np.array_equal(grey[..., 0], page)
    for same in (page[None], page[..., None], page / 255, (page / 255).astype(np.float32)):
        assert np.array_equal(read_picture(same).pixels, grey)
        assert np.array_equal(read_picture(torch.from_numpy(same)).pixels, grey)
    rgb = np.stack([page, 255 - page, page // 2])  # (3, H, W)
    for same in (rgb, rgb.transpose(1, 2, 0), torch.from_numpy(rgb), rgb.astype(np.float64) / 255):
        assert np.array_equal(read_picture(same).pixels, rgb.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((2, 1, 28, 28), np.uint8), "predict_many"),
        (np.zeros((1, 1, 28, 28), np.uint8), "predict_many"),
        (torch.zeros(10, 28, 28), "predict_many"),
        (np.zeros((28, 28, 2), np.uint8), "28, 28, 2"),
        (np.zeros((3, 5, 3), np.uint8), r"\(C, H, W\) or \(H, W, C\)"),
        (np.zeros((0, 28), np.uint8), "0, 28"),
        (np.zeros(28, np.uint8), r"\(28,\)"),
        (np.zeros((28, 28), np.int64), "int64.*uint8"),
        (np.full((28, 28), 255.0), "divide by 255"),
        (np.full((28, 28), -0.42), "normalised"),
        (np.full((28, 28), np.nan), "nan"),
        (np.full((28, 28), "a"), "<U1"),
        (torch.zeros(28, 28, dtype=torch.complex64), "complex64"),
        (Image.new("L", (0, 5)), "no pixels"),
        (Image.new("F", (5, 5), 300.0), "0-1 or 0-255"),
        (Image.new("I", (5, 5), -1), "0-65535"),
        ([[0, 1], [1, 0]], "list"),
        (None, "NoneType"),
    ],
)
def test_ambiguous_or_wrong_images_are_refused(image, says):
    with pytest.raises(CnnzooError, match=says):
        read_picture(image)


def png(width: int, height: int, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


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


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tiff", "bmp"])
def test_truncation_anywhere_is_an_error_or_a_picture(tmp_path, suffix):
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


def test_a_large_photo_is_read(tmp_path):
    Image.new("L", (7900, 8100), 200).save(tmp_path / "photo.png")
    assert MAX_PIXELS > 7900 * 8100
    ready = prepare(read_picture(tmp_path / "photo.png"), GREY, autofix=True)
    assert [w.name for w in ready.warnings] == ["blank"]


# --- looking and repairing ---------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint8, (28, 28)))
def test_the_right_size_passes_unchanged_without_autofix(page):
    ready = prepare(read_picture(page), GREY)
    assert np.array_equal(ready.image[0].numpy(), page)
    assert ready.fixed == ()


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90))),
    st.sampled_from([GREY, COLOUR]),
    st.booleans(),
)
def test_any_picture_becomes_the_models_size(page, preprocessing, autofix):
    picture = read_picture(Image.fromarray(page))
    ready = prepare(picture, preprocessing, autofix=autofix)
    wanted = (preprocessing.channels, preprocessing.height, preprocessing.width)
    assert tuple(ready.image.shape) == wanted
    assert ready.image.dtype == torch.uint8
    found = [warning.name for warning in ready.warnings]
    assert len(set(found)) == len(found)
    assert set(ready.fixed) <= set(found)


def test_proportions_are_kept_and_the_ground_continued():
    page = np.full((56, 112), 40, np.uint8)
    page[:, 50:60] = 250
    small = prepare(read_picture(page), GREY).image[0].numpy()
    assert (small[:7] == 40).all()
    assert (small[21:] == 40).all()
    assert small[7:21].max() > 200


def test_a_clean_bar_gets_no_warning_at_any_size():
    for side in (28, 56, 280, 1120):
        assert names(bar(side)) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda page: 255 - page, {"inverted"}),
        (lambda page: np.roll(page, (20, 20), (0, 1)), {"off_centre"}),
        (lambda page: np.pad(page, 140), {"too_small"}),
        (lambda page: page[35:-30, 35:-30], {"too_large"}),
        (lambda page: page // 3, {"low_contrast"}),
        (lambda page: page // 2 + 60, {"low_contrast"}),
        (lambda page: np.stack([page] * 3, 2), {"wrong_mode"}),
        (lambda page: np.pad(page, ((0, 0), (160, 160))), {"aspect", "too_small"}),
        (lambda page: np.full_like(page, 90), {"blank"}),
        (lambda page: 200 - page // 2, {"inverted", "low_contrast"}),
    ],
)
def test_each_warning_and_its_repair(change, expected):
    page = change(bar())
    assert names(page) == expected
    ready = prepare(read_picture(page), GREY, autofix=True)
    assert set(ready.fixed) == expected - {"blank"}
    if "blank" not in expected:
        assert names(ready.image.numpy()) == set(), "a repaired picture needs no repair"
        assert np.abs(ready.image[0].numpy().astype(int) - bar(28)).mean() < 8


def test_a_model_of_dark_ink_expects_the_reverse():
    dark = Preprocessing(1, 28, 28, (1 - 0.1307,), (0.3081,))
    assert names(255 - bar(), dark) == set()
    assert names(bar(), dark) == {"inverted"}
    assert np.array_equal(fixed(bar(28), dark)[0], 255 - bar(28))
    shifted = np.roll(bar(28), 4, axis=0)
    assert np.array_equal(fixed(255 - shifted, dark), 255 - fixed(shifted))


def test_a_shaded_noisy_photo_is_recovered():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:1:300j, 0:1:300j]
    page = 215 - 90 * x - 30 * y
    page[60:200, 180:200] = 50
    photo = np.clip(page + rng.normal(0, 5, page.shape), 0, 255).astype(np.uint8)
    photo = np.repeat(photo[..., None], 3, axis=2)
    assert names(photo) >= {"wrong_mode", "inverted", "low_contrast", "too_small", "off_centre"}
    seen = fixed(photo)[0]
    assert np.abs(seen.astype(int) - bar(28)).mean() < 8
    assert (seen[:, :9] == 0).mean() > 0.95, "the paper is gone"


def test_natural_pictures_get_only_warnings_that_make_sense():
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (64, 64, 3), np.uint8)
    assert names(scene, COLOUR) == set()
    assert names(255 - scene, COLOUR) == set()
    assert names(scene[..., 0], COLOUR) == {"wrong_mode"}
    assert names(scene[:10, :10], COLOUR) == {"too_small"}
    assert names(scene[:20], COLOUR) == {"aspect"}
    assert names(np.full_like(scene, 90), COLOUR) == {"blank"}
    assert np.array_equal(fixed(scene, COLOUR), prepare(read_picture(scene), COLOUR).image.numpy())


def variants(image: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    half = np.zeros_like(image)
    half[:14, :14] = np.asarray(Image.fromarray(image).resize((14, 14), Image.Resampling.BICUBIC))
    return {
        "shifted": (np.roll(image, (2, 2), (0, 1)), "off_centre"),
        "shifted back": (np.roll(image, (-3, 3), (0, 1)), "off_centre"),
        "inverted": (255 - image, "inverted"),
        "half": (half, "too_small"),
        "half in a corner": (half, "off_centre"),
        "paper": (170 - (image * 0.27).astype(np.uint8), "low_contrast"),
    }


def test_rates_on_real_digits(real_data):
    images = MNIST(real_data, train=False).data.numpy()[::20]
    alarms = [warning for image in images for warning in names(image)]
    assert len(alarms) < 0.005 * len(images), alarms
    missed: dict[str, int] = {}
    for image in images[::3]:
        for name, (changed, expected) in variants(image).items():
            missed[name] = missed.get(name, 0) + (expected not in names(changed))
    assert max(missed.values()) <= 0.02 * len(images[::3]), missed
    for image in images[::3]:
        untouched = np.array_equal(fixed(image)[0], image)
        assert untouched or names(image), "a picture without a warning is not touched"


def test_rates_on_the_embedded_digits():
    digits = load_data("digits").test  # 355
    found = [names(image.numpy(), digits.preprocessing) for image in digits.images]
    assert sum(map(len, found)) < 0.01 * len(found)
    inverted = [names(255 - image.numpy(), digits.preprocessing) for image in digits.images]
    assert all("inverted" in each for each in inverted)
