"""Network in Network: sizes, stages, and no linear layer."""

import pytest
import torch
from family_checks import parameters, stage_sizes
from torch import nn

import cnnzoo


@pytest.mark.parametrize(
    ("arguments", "known"),
    [({}, 966_986), ({"num_classes": 1000, "image_size": 224}, 7_595_176)],
)
def test_parameters_are_the_known_number(arguments, known):
    assert parameters("nin", **arguments) == known


def test_stages_of_large_and_small_images():
    assert stage_sizes(cnnzoo.build("nin", num_classes=7)) == {
        "block1": (96, 15, 15),
        "block2": (192, 7, 7),
        "block3": (7, 7, 7),
    }
    assert stage_sizes(cnnzoo.build("nin", num_classes=20, image_size=224)) == {
        "block1": (96, 26, 26),
        "block2": (256, 12, 12),
        "block3": (384, 5, 5),
        "block4": (20, 5, 5),
    }


def test_logits_are_the_means_of_the_last_maps():
    model = cnnzoo.build("nin", num_classes=4, image_size=28).eval()
    x = torch.randn(2, 3, 28, 28)
    maps = model.features(x)
    assert maps.shape == (2, 4, 6, 6)
    torch.testing.assert_close(model(x), maps.mean((2, 3)))
    assert not any(isinstance(module, nn.Linear) for module in model.modules())


@pytest.mark.parametrize(("image_size", "kernel"), [(66, 5), ((66, 99), 5), (67, 11)])
def test_the_imagenet_form_starts_where_it_fits(image_size, kernel):
    with torch.device("meta"):
        model = cnnzoo.build("nin", image_size=image_size)
    assert model.features.block1.conv.kernel_size == (kernel, kernel)


def test_the_smallest_large_image_still_gives_logits():
    model = cnnzoo.build("nin", image_size=67, num_classes=5).eval()
    assert model(torch.randn(1, 3, 67, 67)).shape == (1, 5)


def test_a_pixel_too_few_is_shown_in_a_table():
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        cnnzoo.build("nin", image_size=6)
    lines = str(caught.value).splitlines()
    assert " ".join(lines[-2].split()) == "block2 max-pool 3 x 3 0 x 0 <- nothing left"
    assert lines[-1] == "The smallest image_size that works is 7."
