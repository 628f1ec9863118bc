"""Feature maps: that they are the right ones, and that the model is as it was."""

import copy

import pytest
import torch
from torch import nn

import cnnzoo

MODELS = [name for name in cnnzoo.list_models() if ":" not in name]


class Pair(nn.Module):
    """A module that gives two tensors."""

    def forward(self, x):
        return x, x


@pytest.fixture
def net():
    """Return a plain network with an in-place ReLU, without names of stages."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(2, 3, 3))


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("name", MODELS)
def test_stages_of_every_model(name):
    with torch.device("meta"):  # shapes only: thirty networks in a second
        model = cnnzoo.build(name, image_size=32).eval()
        maps = cnnzoo.features(model, torch.empty(2, model.in_channels, 32, 32))
    assert list(maps) == list(model.stages)
    assert all(each.dim() == 4 and len(each) == 2 for each in maps.values())
    assert hooks(model) == 0


def test_values_are_those_on_the_way():
    torch.manual_seed(0)
    model = cnnzoo.build("mnist_cnn").eval()
    x = torch.randn(3, 1, 28, 28)
    first = model.conv1(x)
    maps = cnnzoo.features(model, x, at=["conv2", "conv1"])
    assert list(maps) == ["conv2", "conv1"]
    assert torch.equal(maps["conv1"], first)
    assert torch.equal(maps["conv2"], model.conv2(first))


def test_one_name_and_a_stage_before_a_module(net):
    net.stages = {"0": "2"}
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(cnnzoo.features(net, x, at="0")["0"], net(x))


def test_what_follows_in_place_does_not_reach_the_map(net):
    x = torch.randn(1, 1, 8, 8)
    assert torch.equal(cnnzoo.features(net, x, at="0")["0"], net[0](x))


def test_gradients_flow_unless_they_are_off(net):
    x = torch.randn(1, 1, 8, 8)
    cnnzoo.features(net, x, at=["2"])["2"].sum().backward()
    wanted = copy.deepcopy(net)
    wanted.zero_grad()
    wanted(x).sum().backward()
    assert torch.equal(net[0].weight.grad, wanted[0].weight.grad)
    with torch.no_grad():
        assert not cnnzoo.features(net, x, at=["2"])["2"].requires_grad


def test_hooks_are_gone_after_an_error(net):
    with pytest.raises(RuntimeError):
        cnnzoo.features(net, torch.randn(1, 5, 8, 8), at=["0", "2"])
    assert hooks(net) == 0


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (["conv3"], r'no stage or module "conv3"\. Did you mean "conv2"\? Stages: conv1, conv2\.'),
        (["fc11"], 'Did you mean "fc1"'),
        ([""], 'no stage or module ""'),
    ],
)
def test_unknown_names(at, said):
    model = cnnzoo.build("mnist_cnn")
    with pytest.raises(cnnzoo.CnnzooError, match=said):
        cnnzoo.features(model, torch.zeros(1, 1, 28, 28), at=at)


def test_what_gives_no_map(net):
    x = torch.randn(1, 1, 8, 8)
    with pytest.raises(cnnzoo.CnnzooError, match=r"names no stages: pass at=.* 0, 1, 2"):
        cnnzoo.features(net, x)
    net.unused = nn.Conv2d(1, 1, 1)
    net.forward = lambda x: net[0](x)
    with pytest.raises(cnnzoo.CnnzooError, match='"unused" did not run'):
        cnnzoo.features(net, x, at=["0", "unused"])
    with pytest.raises(cnnzoo.CnnzooError, match='"0" is a Pair and gives tuple'):
        cnnzoo.features(nn.Sequential(Pair()), x, at="0")
