"""Arrays of every layout and range are read alike; what could be meant in two ways is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from PIL import Image

from cnnzoo.errors import CnnzooError
from cnnzoo.pictures import read_picture


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
