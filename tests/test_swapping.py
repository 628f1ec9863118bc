"""Swaps: same weights, same answers, or a refusal with a figure and nothing changed."""

import copy

import pytest
import torch
import torch.nn.functional as F
from layer_names import layer_implementations
from torch import nn

import cnnzoo
from cnnzoo.layers import ConvReluMaxPool, build_layer
from cnnzoo.layers.eager import EagerConvReluMaxPool
from cnnzoo.registry import layers

# Of the large VGGs one: the others are the same layers, more or less often.
LARGE = {"vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16_bn", "vgg19", "vgg19_bn"}
MODELS = [name for name in cnnzoo.list_models() if ":" not in name and name not in LARGE]


class GradientOff(torch.autograd.Function):
    """The same value, one per cent more gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * 1.01


class WrongValue(EagerConvReluMaxPool):
    """One per cent too large."""

    def forward(self, x):
        return super().forward(x) * 1.01


class WrongGradient(EagerConvReluMaxPool):
    """Right values, wrong gradients."""

    def forward(self, x):
        return GradientOff.apply(super().forward(x))


class WrongShape(EagerConvReluMaxPool):
    """Loses a row."""

    def forward(self, x):
        return super().forward(x)[:, :, 1:]


class NotANumber(EagerConvReluMaxPool):
    """Nothing at all."""

    def forward(self, x):
        return super().forward(x) * torch.nan


class MorePrecise(EagerConvReluMaxPool):
    """Sums in float32, whatever it is given."""

    def forward(self, x):
        y = F.conv2d(x.float(), self.weight.float(), self.bias.float())
        return F.max_pool2d(F.relu(y), self.pool_size).to(x.dtype)


class OtherParameters(EagerConvReluMaxPool):
    """A parameter more than the others have."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scale = nn.Parameter(torch.ones(1))


@pytest.fixture
def wrong():
    """Return a function that registers a layer as ``wrong`` for the length of a test."""
    before = dict(layers._entries)

    def register(layer):
        layers.register("conv_relu_maxpool.wrong")(layer)
        return next(n for n in cnnzoo.layers.implementations("conv_relu_maxpool") if "wrong" in n)

    yield register
    layers._entries = before


def sites(model):
    return [module for module in model.modules() if isinstance(module, ConvReluMaxPool)]


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name):
    torch.manual_seed(0)
    model = cnnzoo.build(name, image_size=32, num_classes=4, conv_relu_maxpool="eager").eval()
    if not sites(model):
        with pytest.raises(cnnzoo.CnnzooError, match="no conv_relu_maxpool layer to swap"):
            cnnzoo.swap(model, conv_relu_maxpool="reference")
        return
    x = torch.randn(2, model.in_channels, 32, 32)
    before, own = model(x), dict(model.named_parameters())
    again = cnnzoo.swap(model, conv_relu_maxpool="reference")
    assert again is model
    assert {type(layer).__name__ for layer in sites(model)} == {"ReferenceConvReluMaxPool"}
    assert list(own) == list(dict(model.named_parameters()))
    assert all(own[key] is value for key, value in model.named_parameters())
    torch.testing.assert_close(model(x), before)
    rebuilt = cnnzoo.build(model.spec)
    rebuilt.load_state_dict(model.state_dict())
    assert {type(layer).__name__ for layer in sites(rebuilt)} == {"ReferenceConvReluMaxPool"}


@pytest.mark.parametrize("implementation", layer_implementations())
def test_every_implementation_passes_against_every_shape(implementation):
    options = [
        {"kernel_size": 3},
        {"kernel_size": 5, "padding": 2, "pool_size": 3, "pool_stride": 2, "bias": False},
        {"kernel_size": 3, "stride": 2, "padding": 1, "pool_size": (2, 3)},
    ]
    torch.manual_seed(0)
    for each in options:
        layer = build_layer("conv_relu_maxpool", "eager", 3, 16, **each)
        new = cnnzoo.swap(
            layer, conv_relu_maxpool=implementation, example_input=torch.empty(2, 3, 32, 32)
        )
        assert new is not layer
        assert new.weight is layer.weight


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (WrongValue, r"\"conv1\": the output differs by 0\.01 of its size, the tolerance is 0\.00"),
        (WrongGradient, r"the gradient of the input differs by 0\.01 .* tolerance is 0\.005"),
        (WrongShape, r"the output has the shape \(2, 32, 12, 13\), expected \(2, 32, 13, 13\)"),
        (NotANumber, "the output differs by nan"),
        (OtherParameters, "has the parameters weight, bias, scale, expected weight, bias"),
    ],
)
def test_a_broken_implementation_is_refused_and_nothing_changed(wrong, layer, said):
    model = cnnzoo.build("mnist_cnn")
    before, spec = list(model.modules()), copy.deepcopy(model.spec)
    with pytest.raises(cnnzoo.CnnzooError, match=said):
        cnnzoo.swap(model, conv_relu_maxpool=wrong(layer))
    assert list(model.modules()) == before
    assert model.spec == spec


def test_the_check_leaves_no_trace():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.BatchNorm2d(1), build_layer("conv_relu_maxpool", "eager", 1, 4, 3), nn.Dropout()
    )
    model[2].eval()
    model(torch.randn(2, 1, 8, 8)).sum().backward()
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    gradient, state = model[1].weight.grad.clone(), torch.get_rng_state()
    cnnzoo.swap(model, conv_relu_maxpool="reference", example_input=torch.empty(2, 1, 8, 8))
    assert all(torch.equal(buffers[key], value) for key, value in model.named_buffers())
    assert torch.equal(model[1].weight.grad, gradient)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model] == [True, True, False]


def test_a_shared_layer_stays_shared_and_hooks_come_along():
    layer, calls = build_layer("conv_relu_maxpool", "eager", 2, 2, 3, padding=1), []
    layer.register_forward_hook(lambda *_: calls.append(1))
    model = nn.Sequential(layer, layer)
    cnnzoo.swap(model, conv_relu_maxpool="reference", example_input=torch.empty(1, 2, 9, 9))
    assert model[0] is model[1] is not layer
    calls.clear()
    model(torch.zeros(1, 2, 9, 9))
    assert len(calls) == 2


def test_training_goes_on_with_the_same_optimizer():
    torch.manual_seed(0)
    model = cnnzoo.build("single_layer_cnn", conv_relu_maxpool="eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    cnnzoo.swap(model, conv_relu_maxpool="auto")
    before = model.conv1.weight.detach().clone()
    F.cross_entropy(model(torch.randn(4, 1, 28, 28)), torch.arange(4)).backward()
    optimizer.step()
    assert not torch.equal(model.conv1.weight, before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_of_number(dtype):
    model = cnnzoo.build("mnist_cnn", conv_relu_maxpool="eager").to(dtype)
    cnnzoo.swap(model, conv_relu_maxpool="auto")
    assert model.conv1.weight.dtype == dtype


def test_coarse_numbers_get_more_room(wrong):
    torch.manual_seed(0)
    layer = build_layer("conv_relu_maxpool", "eager", 256, 256, 3).bfloat16()
    image, name = torch.empty(2, 256, 14, 14), wrong(MorePrecise)
    new = cnnzoo.swap(layer, conv_relu_maxpool=name, example_input=image)
    assert isinstance(new, MorePrecise)


def test_what_cannot_be_swapped():
    model = cnnzoo.build("mnist_cnn")
    with pytest.raises(cnnzoo.CnnzooError, match='Did you mean "native"'):
        cnnzoo.swap(model, conv_relu_maxpool="natve")
    plain = nn.Sequential(model.conv1)
    with pytest.raises(cnnzoo.CnnzooError, match="pass example_input="):
        cnnzoo.swap(plain, conv_relu_maxpool="reference")
    plain.spare = model.conv2
    plain.forward = lambda x: plain[0](x)
    with pytest.raises(cnnzoo.CnnzooError, match='"spare" is not reached'):
        cnnzoo.swap(plain, conv_relu_maxpool="reference", example_input=torch.empty(1, 1, 28, 28))
    nn.utils.parametrizations.weight_norm(model.conv1)
    with pytest.raises(cnnzoo.CnnzooError, match='"conv1" holds more than weight and bias'):
        cnnzoo.swap(model, conv_relu_maxpool="reference")
