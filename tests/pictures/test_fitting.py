"""A picture of any size comes to the one asked for, with its proportions and its own ground."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from known_pictures import COLOUR, GREY, fitted
from PIL import Image

from cnnzoo.errors import CnnzooError
from cnnzoo.pictures import fit, prepare, read_picture


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint8, (28, 28)))
def test_the_right_size_passes_unchanged_without_autofix(page):
    ready = prepare(read_picture(page), GREY)
    assert np.array_equal(ready.image[0].numpy(), page)
    assert ready.fixed == ()


def test_a_picture_of_the_right_size_keeps_its_bytes(saved):
    grey = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    assert np.array_equal(fitted(saved(Image.fromarray(grey)), 28, 1)[0], grey)


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


def test_proportions_are_kept_and_the_rest_is_the_pictures_own_ground(saved):
    wide = Image.new("RGB", (80, 40), (200, 100, 50))
    wide.paste((0, 0, 0), (30, 10, 50, 30))
    pixels = fitted(saved(wide), 40, 3)
    assert pixels[:, 0, 0].tolist() == pixels[:, 39, 39].tolist() == [200, 100, 50]
    dark = pixels[0] < 100
    assert dark.any(0).sum() == dark.any(1).sum() == 10  # a square stays one, half as large
    assert pixels[:, 0].std(1).max() == 0  # no seam, no frame


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(90, 50, 3), (700, 900, 3), (1300, 400), (30, 64), (20, 20)])
def test_it_is_what_pillow_makes_of_the_averaged_picture(shape, channels):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    image = Image.fromarray(pixels).reduce(-(-max(shape) // 256))
    values = np.asarray(image).reshape(image.height, image.width, -1)
    ring = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    ground = tuple(int(value) for value in np.median(ring, axis=0))
    size = [max(1, round(28 / max(image.size) * length)) for length in image.size]
    page = Image.new(image.mode, (28, 28), ground if len(ground) > 1 else ground[0])
    place = (28 - size[0]) // 2, (28 - size[1]) // 2
    page.paste(image.resize(size, Image.Resampling.BICUBIC), place)
    wanted = np.asarray(page.convert("L" if channels == 1 else "RGB"))
    wanted = wanted.reshape(28, 28, channels).transpose(2, 0, 1)
    assert np.array_equal(fitted(pixels, 28, channels), wanted)


def test_a_line_stays_a_line(saved):
    assert fitted(saved(Image.new("L", (1000, 1), 7)), 28, 1).shape == (1, 28, 28)


def test_other_channels_than_a_picture_has_are_refused():
    with pytest.raises(CnnzooError, match="takes 2 channels"):
        fit(np.zeros((9, 9, 1), np.uint8), (9, 9), 2)
