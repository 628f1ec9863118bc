"""The residual networks for CIFAR: sizes of the paper, shortcuts without parameters."""

import pytest
import torch
import torch.nn.functional as F
from family_checks import parameters, stage_sizes

import cnnzoo
from cnnzoo.models.resnet_cifar import ZeroPaddedShortcut

NAMES = ["resnet20", "resnet32", "resnet44", "resnet56"]


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85)],
)
def test_parameters_are_the_papers(name, millions):
    assert round(parameters(name) / 1e6, 2) == millions


def test_parameters_one_by_one():
    def convolution(inputs, outputs):
        return 9 * inputs * outputs + 2 * outputs  # batch norm has a factor and a bias a channel

    layers = [(3, 16), *[(16, 16)] * 6, (16, 32), *[(32, 32)] * 5, (32, 64), *[(64, 64)] * 5]
    assert parameters("resnet20") == sum(convolution(*each) for each in layers) + 64 * 10 + 10


@pytest.mark.parametrize("name", NAMES)
def test_layers_with_weights_are_as_many_as_the_name_says(name):
    with torch.device("meta"):
        model = cnnzoo.build(name)
    kinds = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(kinds) == int(name.removeprefix("resnet"))
    assert all(m.kernel_size == (3, 3) for m in kinds[:-1]), "no shortcut has a convolution"


def test_stages():
    model = cnnzoo.build("resnet20", in_channels=1, image_size=(32, 29))
    expected = {"stem": (16, 32, 29), "stage1": (16, 32, 29)}
    expected |= {"stage2": (32, 16, 15), "stage3": (64, 8, 8)}
    assert stage_sizes(model) == expected


def test_shortcut_takes_every_second_pixel_and_adds_empty_channels():
    x = torch.randn(2, 3, 5, 4)
    y = ZeroPaddedShortcut(3, 8, 2)(x)
    assert y.shape == (2, 8, 3, 2)
    for row in range(3):
        for column in range(2):
            assert torch.equal(y[:, :3, row, column], x[:, :, 2 * row, 2 * column])
    assert not y[:, 3:].any()


def test_a_block_that_adds_nothing_is_its_shortcut():
    model = cnnzoo.build("resnet20").eval()
    block = model.layer2[0]
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.randn(1, 16, 6, 6)
    assert torch.equal(block(x), F.relu(ZeroPaddedShortcut(16, 32, 2)(x)))


def test_smallest_image():
    model = cnnzoo.build("resnet20", image_size=5).train()
    assert model(torch.randn(1, 3, 5, 5)).isfinite().all()
    with pytest.raises(cnnzoo.CnnzooError, match=r"resnet20: .* 4 x 4 .* that works is 5\.$"):
        cnnzoo.build("resnet20", image_size=4)
