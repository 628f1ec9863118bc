"""Augmentations against slow obvious references; the names in the folder are the test matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from torchvision.transforms import InterpolationMode

import cnnzoo
from cnnzoo import CnnzooError
from cnnzoo.plots._augmentation import augmentation_sheet
from cnnzoo.train.augment import (
    Augmentation,
    Chain,
    augmentation_info,
    augmentation_names,
    draw,
    make_augmentation,
)

ALL = "crop=3,shift=2,rotate=20,zoom=0.2,shear=10,flip,cutout=5"
TEXTS = [*augmentation_names(), "shift=2,rotate=10", "rotate,flip=0.3,cutout=4,zoom", ALL]
SHAPES = [(17, 1, 28, 28), (5, 3, 12, 19), (3, 2, 21, 9)]
LAST = float(np.nextafter(np.float32(1), np.float32(0)))  # the largest number that is drawn


def make(text: str) -> Augmentation:
    augmentation = make_augmentation(text)
    assert augmentation is not None
    return augmentation


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def smooth(n: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Waves of about half the image, so that interpolation hardly matters."""
    y = torch.linspace(0, 2, height)[:, None]
    x = torch.linspace(0, 2, width)
    phase = torch.arange(n * channels).view(n, channels, 1, 1)
    return (math.pi * y + phase).sin() + (2 * math.pi * x * (1 + y / 4) + phase).cos()


def same(got: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


# What all of them keep


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", TEXTS)
def test_a_row_depends_on_its_own_image_and_numbers_alone(text, shape):
    augmentation, images = make(text), noise(*shape)
    numbers = draw(augmentation, len(images), 1, 2, 3)
    together = augmentation(images, numbers)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    same(augmentation(images[order], numbers[order]), together[order])
    for size in (1, 2):
        parts = [
            augmentation(some, own)
            for some, own in zip(images.split(size), numbers.split(size), strict=True)
        ]
        same(torch.cat(parts), together)


@pytest.mark.parametrize("text", TEXTS)
def test_memory_format_changes_nothing_and_is_kept(text):
    augmentation, images = make(text), noise(4, 3, 14, 11)
    numbers = draw(augmentation, 4, 0)
    last = images.contiguous(memory_format=torch.channels_last)
    changed = augmentation(last, numbers)
    same(changed, augmentation(images, numbers))
    assert changed.is_contiguous(memory_format=torch.channels_last)
    assert augmentation(images, numbers).is_contiguous()


@pytest.mark.parametrize("text", TEXTS)
def test_images_are_left_alone_and_stay_within_their_range(text):
    augmentation, images = make(text), noise(6, 3, 16, 13)
    before, numbers = images.clone(), draw(augmentation, 6, 4)
    changed = augmentation(images, numbers)
    same(images, before)
    assert not torch.equal(changed, before)
    span = (before.amax((2, 3)) + 1e-5, before.amin((2, 3)) - 1e-5)
    assert (changed.amax((2, 3)) <= span[0]).all()  # nothing comes from outside the image
    assert (changed.amin((2, 3)) >= span[1]).all()
    same(augmentation(before, numbers), changed)


@pytest.mark.parametrize("text", TEXTS)
def test_preprocessing_before_or_after_is_the_same(text):
    augmentation, images = make(text), noise(6, 1, 16, 13)
    numbers = draw(augmentation, 6, 5)
    got = augmentation(images * 3 - 7, numbers)
    torch.testing.assert_close(got, augmentation(images, numbers) * 3 - 7, rtol=0, atol=2e-5)


@pytest.mark.parametrize("text", TEXTS)
def test_bfloat16_is_float32_rounded(text):
    augmentation, images = make(text), noise(4, 2, 16, 13).bfloat16()
    numbers = draw(augmentation, 4, 0)
    changed = augmentation(images, numbers)
    assert changed.dtype == torch.bfloat16
    expected = augmentation(images.float(), numbers)
    # a chain rounds between its stages
    torch.testing.assert_close(changed.float(), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("text", TEXTS)
def test_an_empty_batch_and_the_ends_of_the_numbers(text):
    augmentation = make(text)
    assert augmentation(noise(0, 3, 9, 8), draw(augmentation, 0, 0)).shape == (0, 3, 9, 8)
    for number in (0.0, LAST):
        changed = augmentation(noise(2, 1, 9, 8), torch.full((2, augmentation.draws), number))
        assert changed.isfinite().all()


@pytest.mark.parametrize("name", augmentation_names())
def test_every_name_tells_what_it_does(name):
    kind = augmentation_info(name.upper())
    assert 20 < len(kind.summary()) < 100
    legal = kind.parameter
    assert legal.least <= legal.default <= legal.most
    for amount in (legal.least, legal.default, legal.most):
        text = str(make(f"{name}={amount}"))
        assert str(make(text)) == text
        assert make(text).amount == amount
    assert str(make(name)) == f"{name}={legal.default}"


def test_draw_is_uniform_and_follows_its_key():
    augmentation = make("shift,cutout")
    numbers = draw(augmentation, 4000, 0, 1, 2)
    assert numbers.shape == (4000, 4)
    assert numbers.dtype == torch.float32
    same(draw(augmentation, 4000, 0, 1, 2), numbers)
    assert not torch.equal(draw(augmentation, 4000, 0, 2, 1), numbers)
    assert (numbers >= 0).all()
    assert (numbers < 1).all()
    torch.testing.assert_close(numbers.mean(0), torch.full((4,), 0.5), rtol=0, atol=0.03)


# One by one, against something slow


def by_hand(image: torch.Tensor, down: int, right: int, mode: str) -> torch.Tensor:
    """Pad numpy's way, and slice."""
    k, (height, width) = 4, image.shape[1:]
    padded = np.pad(image.numpy(), ((0, 0), (k, k), (k, k)), mode)
    top, left = k - down, k - right
    return torch.from_numpy(padded[:, top : top + height, left : left + width].copy())


@pytest.mark.parametrize(("name", "mode", "sign"), [("shift", "edge", 1), ("crop", "reflect", -1)])
def test_shift_and_crop_are_pad_and_slice(name, mode, sign):
    images = noise(49, 2, 9, 7)
    places = torch.cartesian_prod(torch.arange(7), torch.arange(7))  # of 7 each way: ±3 pixels
    numbers = (places + 0.5) / 7
    got = make(f"{name}=3")(images, numbers)
    expected = [
        by_hand(image, sign * (int(y) - 3), sign * (int(x) - 3), mode)
        for image, (y, x) in zip(images, places, strict=True)
    ]
    same(got, torch.stack(expected))


def test_shift_is_roll_away_from_the_edge():
    images = noise(1, 1, 12, 12)
    got = make("shift=2")(images, torch.tensor([[0.99, 0.01]]))  # 2 down, 2 left
    same(got[..., 2:, :-2], torch.roll(images, (2, -2), (2, 3))[..., 2:, :-2])


def test_the_largest_number_is_no_step_too_far():
    images = torch.arange(20.0).expand(1, 1, 20, 20)
    for most in range(1025):
        got = make(f"shift={most}")(images, torch.full((1, 2), LAST))  # as far right as it goes
        assert float(got[0, 0, 0, -1]) == max(19 - most, 0)
    counts = torch.arange(1, 2**16)
    assert ((torch.tensor(LAST) * counts).long() == counts - 1).all()


@pytest.mark.parametrize("name", ["shift", "crop"])
def test_every_distance_is_as_likely(name):
    images = torch.arange(15.0).expand(1, 1, 15, 15)
    many = images.expand(7000, 1, 15, 15)
    augmentation = make(f"{name}=3")
    middle = augmentation(many, draw(augmentation, 7000, 0))[:, 0, 7, 7] - 7
    counts = torch.bincount((middle + 3).long())
    assert len(counts) == 7
    assert ((counts - 1000).abs() < 150).all()  # 5 standard deviations


def test_crop_wants_an_image_larger_than_its_padding():
    augmentation = make("crop=8")
    with pytest.raises(CnnzooError, match=r'mirrors 8 pixels.*got 8x12\. Try "crop=7"'):
        augmentation(noise(2, 1, 8, 12), draw(augmentation, 2, 0))
    assert augmentation(noise(2, 1, 9, 12), draw(augmentation, 2, 0)).shape == (2, 1, 9, 12)


@pytest.mark.parametrize("probability", [0, 0.3, 1])
def test_flip_is_torch_flip_with_its_probability(probability):
    images, numbers = noise(400, 1, 5, 6), draw(make("flip"), 400, 0)
    got = make(f"flip={probability}")(images, numbers)
    flipped = torch.tensor([number < probability for number in numbers[:, 0].tolist()])
    same(got[flipped], torch.flip(images[flipped], [3]))
    same(got[~flipped], images[~flipped])
    assert abs(int(flipped.sum()) / 400 - probability) < 0.08


@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_cutout_hides_a_square_around_every_pixel(side):
    height, width = 7, 10
    image = noise(1, 2, height, width)
    centres = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    numbers = (centres + 0.5) / torch.tensor([height, width])
    images = image.expand(len(centres), 2, height, width)
    got = make(f"cutout={side}")(images, numbers)
    for changed, (y, x) in zip(got, centres.tolist(), strict=True):
        expected = image[0].clone()
        top, left = y - side // 2, x - side // 2
        for channel in range(2):
            expected[channel, max(top, 0) : top + side, max(left, 0) : left + side] = image[
                0, channel
            ].mean()
        torch.testing.assert_close(changed, expected, rtol=0, atol=1e-6)
        inside = min(top + side, height) - max(top, 0), min(left + side, width) - max(left, 0)
        assert int((changed != image[0]).sum()) == 2 * inside[0] * inside[1]


@pytest.mark.parametrize("shape", [(9, 1, 28, 28), (2, 3, 15, 15), (2, 1, 28, 16)])
@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_rotate_by_quarters_is_rot90(shape, quarters):
    images, degrees = noise(*shape), 180
    number = (1 + quarters * 90 / degrees) / 2  # clockwise; 1 is not drawn, but is the limit
    got = make(f"rotate={degrees}")(images, torch.full((len(images), 1), number))
    if shape[2] == shape[3]:
        torch.testing.assert_close(got, torch.rot90(images, -quarters, (2, 3)), rtol=0, atol=1e-4)
    else:  # the middle square of an image that is not square
        inner = images[:, :, 6:22]
        torch.testing.assert_close(
            got[:, :, 6:22], torch.rot90(inner, -quarters, (2, 3)), rtol=0, atol=1e-4
        )


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("rotate=30", {"angle": 18.0}),
        ("zoom=0.5", {"scale": 1.3}),
        ("shear=40", {"shear": [24.0, 0.0]}),
    ],
)
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 24, 33)])
def test_affine_maps_agree_with_torchvision(text, options, sign, shape):
    images, neutral = (
        smooth(*shape),
        {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": 0.0},
    )
    got = make(text)(images, torch.full((2, 1), 0.5 + sign * 0.3))  # 0.6 of the way
    signed = {
        "angle": options.get("angle", 0.0) * sign,
        "scale": 1 + (options.get("scale", 1.0) - 1) * sign,
        "shear": [each * sign for each in options.get("shear", [0.0, 0.0])],
    }
    expected, other = (
        TF.affine(
            images, **{**neutral, **signed}, interpolation=InterpolationMode.BILINEAR, fill=[fill]
        )
        for fill in (99.0, -99.0)
    )
    inside = expected == other  # elsewhere torchvision fills, and blends with the filling
    assert inside.float().mean() > 0.4
    torch.testing.assert_close(got[inside], expected[inside], rtol=0, atol=1e-4)


@pytest.mark.parametrize("text", ["rotate=0", "zoom=0", "shear=0", "shift=0", "crop=0", "flip=0"])
def test_nothing_to_do_keeps_the_bits(text):
    images = 1e3 * noise(5, 1, 28, 28)
    augmentation = make(text)
    same(augmentation(images, draw(augmentation, 5, 0)), images)
    fused = make(f"rotate=0,shear=0,{text}")
    same(fused(images, draw(fused, 5, 0)), images)


def test_outside_the_image_the_edge_is_repeated():
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, :, 0] = 5.0  # the left edge
    shrunk = make("zoom=0.5")(image, torch.tensor([[0.0]]))
    assert (shrunk[0, 0, :, :3] == 5).all()
    assert (shrunk[0, 0, :, 4:] == 0).all()


# Several


def test_a_chain_applies_its_members_in_order_with_their_own_numbers():
    images, chain = noise(8, 1, 12, 12), make("crop=2,flip,cutout=3,shift=1")
    numbers = draw(chain, 8, 0)
    assert chain.draws == 2 + 1 + 2 + 2
    expected, used = images, 0
    for name in ("crop=2", "flip", "cutout=3", "shift=1"):
        one = make(name)
        expected = one(expected, numbers[:, used : used + one.draws])
        used += one.draws
    same(chain(images, numbers), expected)


@pytest.mark.parametrize(
    "text",
    ["rotate=25,shear=30", "shift=3,rotate=25", "shear=20,shift=3", "rotate=30,flip,zoom=0.3"],
)
def test_fused_affine_maps_are_the_maps_one_after_the_other(text):
    images, chain = smooth(6, 1, 64, 50), make(text)
    numbers = draw(chain, 6, 1)
    expected, used = images, 0
    for item in text.split(","):
        one = make(item)
        expected = one(expected, numbers[:, used : used + one.draws])
        used += one.draws
    middle = (..., slice(20, -20), slice(18, -18))  # the edges are repeated once, not twice
    torch.testing.assert_close(chain(images, numbers)[middle], expected[middle], rtol=0, atol=0.04)
    swapped = Chain(chain.members[::-1])
    order = torch.cat(numbers.split([m.draws for m in chain.members], 1)[::-1], 1)
    assert (swapped(images, order)[middle] - expected[middle]).abs().max() > 0.08


def test_fusing_interpolates_once():
    there_and_back = make("rotate=45,rotate=45")
    images = noise(3, 1, 20, 20)
    got = there_and_back(images, torch.tensor([[0.1, 0.9]] * 3))
    middle = (..., slice(7, 13), slice(7, 13))
    torch.testing.assert_close(got[middle], images[middle], rtol=0, atol=1e-4)


def test_whole_pixels_alone_are_not_interpolated():
    images, chain = 1e3 * noise(8, 1, 11, 13), make("shift=2,flip,shift=1")
    changed = chain(images, draw(chain, 8, 0))
    for before, after in zip(images, changed, strict=True):
        assert set(after.flatten().tolist()) <= set(before.flatten().tolist())


def test_two_processes_augment_as_one():
    augmentation, images = make(ALL), noise(16, 1, 28, 28)
    numbers = draw(augmentation, 16, 0, 3, 7)  # seed, epoch, step: equal on every process
    ranks = [augmentation(images[rank::2], numbers[rank::2]) for rank in (0, 1)]
    same(torch.stack(ranks, 1).flatten(0, 1), augmentation(images, numbers))


# The text


@pytest.mark.parametrize("text", ["", "  "])
def test_no_text_is_no_augmentation(text):
    assert make_augmentation(text) is None


def test_case_and_spaces_do_not_matter():
    assert str(make(" Shift = 3 , FLIP ")) == "shift=3,flip=0.5"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rotat=10", r'Unknown augmentation "rotat"\. Did you mean "rotate"\?.*Known: crop, '),
        ("shift,,flip", r'Unknown augmentation ""\. Known: crop, '),
        ("_base", r'Unknown augmentation "_base"'),
        ("shift=2.5", r'"shift" takes a whole number of pixels from 0 to 1024.*got "2\.5"'),
        ("shift=-1", r'from 0 to 1024, for example "shift=2"; got "-1"'),
        ("rotate=181", r'"rotate" takes degrees from 0 to 180.*got "181"'),
        ("rotate=ten", r'"rotate" takes degrees from 0 to 180.*got "ten"'),
        ("rotate=", r'"rotate" takes degrees.*got ""'),
        ("zoom=nan", r'"zoom" takes a share of the size from 0 to 0\.9.*got "nan"'),
        ("crop=inf", r'"crop" takes .*got "inf"'),
        ("flip=1.5", r'"flip" takes a probability from 0 to 1.*got "1\.5"'),
        (None, r'a string such as "shift=2,flip"; got None'),
    ],
)
def test_a_bad_text_is_answered_with_a_sentence(text, sentence):
    with pytest.raises(CnnzooError, match=sentence):
        make_augmentation(text)


def test_bad_tensors_are_answered_with_a_sentence():
    augmentation, images = make("shift=2"), noise(4, 1, 8, 8)
    good = draw(augmentation, 4, 0)
    with pytest.raises(CnnzooError, match=r"floating point \(preprocessed\); got .* torch.uint8"):
        augmentation(images.byte(), good)
    with pytest.raises(CnnzooError, match=r"\(N, C, H, W\).*got \(1, 8, 8\)"):
        augmentation(images[0], good[:1])
    for wrong in (good[:3], good[:, :1], good.double()):
        with pytest.raises(CnnzooError, match=r'"shift=2" needs float32 numbers \(4, 2\)'):
            augmentation(images, wrong)


def test_the_names_cost_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; from cnnzoo.train.augment import augmentation_names\n"
        "print(augmentation_names(), 'torch' in sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == f"{augmentation_names()} False"


# The sheet


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_shows_the_original_and_then_its_versions(channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, channels, 9, 7), np.uint8)
    sheet, again, other = (
        augmentation_sheet(torch.from_numpy(images), make("flip"), key, count=3)
        for key in ((1, 2), (1, 2), (2, 1))
    )
    shown, repeated, different = (
        [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
        for figure in (sheet, again, other)
    )
    assert len(shown) == 3 * 8
    for row in range(3):
        one = images[row].transpose(1, 2, 0).squeeze() / np.float32(255)
        flips = [np.array_equal(shown[8 * row + i], one[:, ::-1]) for i in range(8)]
        keeps = [np.array_equal(shown[8 * row + i], one) for i in range(8)]
        assert keeps[0]
        assert all(flip != keep for flip, keep in zip(flips, keeps, strict=True))
    assert all(map(np.array_equal, shown, repeated))
    assert not all(map(np.array_equal, shown, different))
    assert sheet._suptitle.get_text() == "flip=0.5"
    assert [ax.get_title() for ax in sheet.axes[:9]] == ["original", *[""] * 8]
    sheet.canvas.draw()


def test_the_sheet_refuses_what_it_cannot_show():
    with pytest.raises(CnnzooError, match="uint8"):
        augmentation_sheet(np.zeros((2, 1, 8, 8)), make("flip"))
    with pytest.raises(CnnzooError, match="nothing to show"):
        augmentation_sheet(np.zeros((0, 1, 8, 8), np.uint8), make("flip"))
    with pytest.raises(CnnzooError, match="count must be at least 1"):
        augmentation_sheet(np.zeros((2, 1, 8, 8), np.uint8), make("flip"), count=0)


def test_digits_stay_digits():
    """What is learnt from an image is still there: its ink neither vanishes nor floods."""
    train, _ = cnnzoo.load_data("digits")
    images = train.images[:200].float() / 255
    augmentation = make("shift=2,rotate=15,zoom=0.1,shear=10")
    ink = augmentation(images, draw(augmentation, 200, 0)).mean((1, 2, 3)) / images.mean((1, 2, 3))
    assert ink.min() > 0.6
    assert ink.max() < 1.5
