"""The layer: what every implementation shares, and what eager computes."""

import pytest
import torch
from layer_names import layer_implementations
from torch import nn

import cnnzoo
from cnnzoo.layers import ConvReluMaxPool, build_layer

NAMES = layer_implementations()
SHAPES = [
    {"kernel_size": 3},
    {"kernel_size": 5, "padding": 2},
    {"kernel_size": (3, 1), "stride": (2, 1), "bias": False},
    {"kernel_size": 3, "pool_size": 3, "pool_stride": 2, "pool_padding": 1},
    {"kernel_size": 3, "groups": 2, "dilation": 2},
]


def composed(in_channels, out_channels, **options):
    """Return the same layer out of torch's modules."""
    pool = {k.removeprefix("pool_"): v for k, v in options.items() if k.startswith("pool_")}
    conv = {k: v for k, v in options.items() if not k.startswith("pool_")}
    size = pool.pop("size", 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, **conv), nn.ReLU(), nn.MaxPool2d(size, **pool)
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_agrees_with_torchs_modules_forward_and_backward(name, options):
    torch.manual_seed(0)
    layer, judge = (
        build_layer("conv_relu_maxpool", name, 4, 6, **options),
        composed(4, 6, **options),
    )
    judge[0].load_state_dict(layer.state_dict())
    x = torch.randn(3, 4, 17, 19)
    if name == "native" and options.get("groups", 1) > 1:
        with pytest.raises(cnnzoo.CnnzooError, match="groups=1, got 2"):
            layer(x)
        return
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = layer(mine), judge(theirs)
    torch.testing.assert_close(y, expected)
    assert layer.output_size((17, 19)) == tuple(y.shape[2:])
    weights = torch.randn_like(expected)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)
    for (key, p), q in zip(layer.named_parameters(), judge[0].parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=key, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_moves_between_implementations(name):
    layer = build_layer("conv_relu_maxpool", name, 4, 6, 3)
    assert isinstance(layer, ConvReluMaxPool)
    assert list(layer.state_dict()) == ["weight", "bias"]
    build_layer("conv_relu_maxpool", "eager", 4, 6, 3).load_state_dict(layer.state_dict())


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
