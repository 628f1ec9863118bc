import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnzoo.data import Preprocessing
from cnnzoo.errors import CnnzooError

GREY = Preprocessing(1, 28, 28, (0.1307,), (0.3081,))
COLOUR = Preprocessing(3, 4, 5, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))


@pytest.fixture
def images():
    return torch.arange(256, dtype=torch.uint8).repeat(15).view(-1, 3, 4, 5)  # every value


def test_is_the_formula(images):
    mean, std = (torch.tensor(each).double().view(3, 1, 1) for each in (COLOUR.mean, COLOUR.std))
    expected = (images.double() / 255 - mean) / std
    got = COLOUR(images)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-6)


def test_leaves_the_images_alone(images):
    before = images.clone()
    COLOUR(images)
    assert torch.equal(images, before)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 70), seed=st.integers(0, 2**31))
def test_one_image_alone_has_the_same_bits_as_in_a_batch(n, seed):
    generator = torch.Generator().manual_seed(seed)
    batch = torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)
    together = GREY(batch)
    alone = torch.cat([GREY(batch[i : i + 1]) for i in range(n)])
    assert torch.equal(together, alone)


def test_statistics_are_those_of_numpy(images):
    measured = Preprocessing.of(images)
    pixels = images.numpy().astype(np.float64) / 255
    assert measured.mean == pytest.approx(pixels.mean((0, 2, 3)), rel=1e-12)
    assert measured.std == pytest.approx(pixels.std((0, 2, 3)), rel=1e-12)
    assert (measured.channels, measured.height, measured.width) == (3, 4, 5)


def test_statistics_depend_on_no_order():
    images = torch.randint(0, 256, (997, 1, 9, 9), dtype=torch.uint8)
    assert Preprocessing.of(images) == Preprocessing.of(images.flip(0, 2, 3))


def test_a_constant_channel_becomes_zero_instead_of_nan():
    images = torch.full((4, 1, 2, 2), 77, dtype=torch.uint8)
    measured = Preprocessing.of(images)
    assert measured.std == (1.0,)
    assert measured(images).abs().max() < 1e-6


@given(
    mean=st.lists(st.floats(-5, 5), min_size=1, max_size=4),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
)
def test_json_gives_back_the_same(mean, size):
    std = [abs(value) + 0.1 for value in mean]
    original = Preprocessing(len(mean), *size, mean, std)
    assert Preprocessing.from_json(json.loads(json.dumps(original.to_json()))) == original


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"std": [0.0]}, "std must be positive"),
        ({"std": [math.nan]}, "std must be 1 finite"),
        ({"mean": [0.1, 0.2]}, "mean must be 1 finite"),
        ({"mean": 0.1}, "mean must be a list of numbers, got 0.1"),
        ({"mean": [10**400]}, "mean must be numbers: .* too large"),
        ({"mean": ["0.1"]}, "mean must be a list of numbers"),
        ({"height": 0}, "height must be at least 1, got 0"),
        ({"height": 28.0}, "height must be a whole number, got 28.0"),
        ({"channels": True}, "channels must be a whole number, got True"),
        ({"extra": 1}, "is written as channels, height, width, mean, std; got .*extra"),
    ],
)
def test_from_json_says_what_is_wrong(change, said):
    with pytest.raises(CnnzooError, match=said):
        Preprocessing.from_json({**GREY.to_json(), **change})


@pytest.mark.parametrize("values", [None, [], "x", {}, {"mean": [1]}])
def test_from_json_refuses_what_it_did_not_write(values):
    with pytest.raises(CnnzooError, match="is written as"):
        Preprocessing.from_json(values)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(2, 1, 28, 28),
        torch.zeros(1, 28, 28, dtype=torch.uint8),
        torch.zeros(2, 3, 28, 28, dtype=torch.uint8),
        torch.zeros(2, 1, 28, 27, dtype=torch.uint8),
    ],
)
def test_other_images_are_refused(wrong):
    with pytest.raises(CnnzooError, match=r"takes uint8 images \(N, 1, 28, 28\); got torch"):
        GREY(wrong)
