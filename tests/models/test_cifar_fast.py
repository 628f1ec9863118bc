"""The fast network for CIFAR-sized pictures."""

import torch
from family_checks import parameters, stage_sizes
from torch import nn

import cnnzoo
from cnnzoo.layers import ConvReluMaxPool


def test_parameters_are_about_two_million():
    convolutions = 24 * 3 * 4 + 24
    widths = [(24, 64), (64, 256), (256, 256)]
    blocks = sum(9 * k * (c + k) + 4 * k for c, k in widths)
    assert parameters("cifar_fast") == convolutions + blocks + 256 * 10 == 1_972_792


def test_stages_halve_the_size_before_they_normalise():
    model = cnnzoo.build("cifar_fast")
    assert stage_sizes(model) == {
        "conv": (24, 31, 31),
        "block1": (64, 15, 15),
        "block2": (256, 7, 7),
        "block3": (256, 3, 3),
    }
    kinds = [type(module) for module in model.features.block1]
    assert issubclass(kinds[0], ConvReluMaxPool)
    assert kinds[1:] == [nn.BatchNorm2d, nn.Conv2d, nn.BatchNorm2d, nn.ReLU]


def test_convolutions_start_as_the_identity_as_far_as_they_can():
    model = cnnzoo.build("cifar_fast")
    x = torch.rand(1, 24, 8, 8)
    conv1 = model.features.block1.conv1
    assert torch.equal(conv1(x)[:, :24], nn.functional.max_pool2d(x, 2))
    assert not torch.equal(conv1(x)[:, 24:48], nn.functional.max_pool2d(x, 2))
    x = torch.rand(1, 256, 4, 4)
    assert torch.equal(model.features.block3.conv2(x), x)


def test_logits_are_divided_by_nine():
    model = cnnzoo.build("cifar_fast").eval()
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model(x) * 9, model.fc(model.features(x).amax((2, 3))))
