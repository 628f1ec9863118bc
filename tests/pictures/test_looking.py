"""Warnings fire where they should, and only there."""

from __future__ import annotations

import numpy as np
from known_pictures import COLOUR, bar, fixed, names
from PIL import Image
from torchvision.datasets import MNIST

from cnnzoo.data import load_data
from cnnzoo.pictures import prepare, read_picture


def test_a_clean_bar_gets_no_warning_at_any_size():
    for side in (28, 56, 280, 1120):
        assert names(bar(side)) == set()


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
    inverted = [names(255 - image.numpy(), digits.preprocessing) for image in digits.images[::3]]
    assert all("inverted" in each for each in inverted)
