"""What a warning names can be repaired, and a repaired picture gets no warning."""

from __future__ import annotations

import numpy as np
import pytest
from known_pictures import GREY, bar, fixed, names

from cnnzoo.data import Preprocessing
from cnnzoo.pictures import prepare, read_picture


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
