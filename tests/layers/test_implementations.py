"""The layer: what every implementation promises, and what all of them share."""

import pytest
import torch

import cnnzoo
from cnnzoo import ops
from cnnzoo.conformance import checks
from cnnzoo.conformance.check_layers import OPTIONAL, LayerCase, agree
from cnnzoo.layers import build_layer
from cnnzoo.registry import layers

NAMES = [name for name in layers.names() if ":" not in name]


@pytest.mark.parametrize("check", checks("layer"), ids=lambda check: check.name)
@pytest.mark.parametrize("name", NAMES)
def test_conforms(name, check):
    check(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", OPTIONAL, ids=str)
def test_only_native_refuses_and_only_groups_and_dilation(name, options):
    if name.endswith(".native"):
        if ops.status().reason:
            pytest.skip(str(ops.status().reason))
        if "dilation" in options:
            words = "groups=1, got 2" if "groups" in options else "dilation"
            with pytest.raises(cnnzoo.CnnzooError, match=words):
                agree(LayerCase(name), options)
            return
    agree(LayerCase(name), options)


def test_initialisation_is_kaiming_uniform():
    torch.manual_seed(0)
    layer = build_layer("conv_relu_maxpool", "eager", 32, 256, 3)
    bound = (6 / (32 * 9)) ** 0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert layer.bias.abs().max() <= (32 * 9) ** -0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be an integer of at least 1; got 0"),
        ({"kernel_size": 3, "stride": -1}, "stride must be"),
        ({"kernel_size": 3, "padding": (1, 2, 3)}, "padding is an int or"),
        ({"kernel_size": 3, "pool_padding": 2}, "at most half"),
        ({"kernel_size": 3, "groups": 3}, "groups=3 must divide in_channels=4"),
        ({"kernel_size": 2.5}, "kernel_size"),
    ],
)
def test_arguments_no_layer_can_have(arguments, message):
    with pytest.raises(cnnzoo.CnnzooError, match=message):
        build_layer("conv_relu_maxpool", "eager", 4, 6, **arguments)


@pytest.mark.parametrize("name", ["eagre", 3, None, ""])
def test_unknown_implementation(name):
    with pytest.raises(cnnzoo.CnnzooError, match="is no implementation"):
        build_layer("conv_relu_maxpool", name, 4, 6, 3)


def test_repr_shows_what_was_typed():
    layer = build_layer("conv_relu_maxpool", "eager", 4, 6, 3, padding=1, bias=False)
    shown = repr(layer)
    assert "4, 6, kernel_size=(3, 3), padding=(1, 1), pool_size=(2, 2), bias=False" in shown
