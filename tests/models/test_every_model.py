"""What every registered model can do: the registry is the test matrix.

Pictures are small here, whatever size the paper's were: what is special about a family, its full
size included, is tested in the file of its name.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from layer_names import layer_implementations
from torch import nn

import cnnzoo
from cnnzoo.layers import ConvReluMaxPool

MODELS = [name for name in cnnzoo.list_models() if ":" not in name]


def build(name, **arguments):
    """Build a model for RGB pictures of 32 × 32 and ten classes, unless told otherwise."""
    return cnnzoo.build(name, **{"in_channels": 3, "num_classes": 10, "image_size": 32} | arguments)


def build_with_weights(weights, name, **arguments):
    """Build a model around the tensors of another: no time goes into drawing new ones."""
    with torch.device("meta"):
        model = build(name, **arguments)
    model.load_state_dict(weights, assign=True)
    return model


def without_dropout(model):
    """Return the model in training mode, its dropout off: the same input, the same answer."""
    for module in model.train().modules():
        if "drop" in type(module).__name__.lower() or "stochastic" in type(module).__name__.lower():
            module.eval()
    return model


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """Each model in turn, in evaluation mode; pytest runs all tests of one before the next."""
    torch.manual_seed(0)
    return build(request.param).eval()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("in_channels", "num_classes", "batch"), [(1, 3, 3), (3, 10, 1)])
def test_forward_and_backward(name, in_channels, num_classes, batch):
    torch.manual_seed(0)
    model = without_dropout(build(name, in_channels=in_channels, num_classes=num_classes))
    x = torch.randn(batch, in_channels, *model.image_size, requires_grad=True)
    logits = model(x)
    assert logits.shape == (batch, num_classes)
    F.cross_entropy(logits, torch.arange(batch) % num_classes).backward()
    assert x.grad.abs().sum() > 0
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


def test_a_training_step_lowers_the_loss(model):
    torch.manual_seed(0)
    model = without_dropout(copy.deepcopy(model))
    x = torch.randn(10, 3, *model.image_size)
    labels = torch.arange(10)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = F.cross_entropy(model(x), labels)
    before.backward()
    optimizer.step()
    assert F.cross_entropy(model(x), labels) < before


def test_spec_and_state_dict_round_trip(model):
    again = cnnzoo.build(model.spec)
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert again.spec == model.spec
    assert torch.equal(again.eval()(x), model(x))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("image_size", [28, (32, 40)])
def test_other_image_sizes(name, image_size):
    with torch.device("meta"):  # shapes only
        model = build(name, image_size=image_size, in_channels=1)
        assert model(torch.randn(2, 1, *model.image_size)).shape == (2, 10)


@pytest.mark.parametrize("name", MODELS)
def test_smallest_input_works_and_a_pixel_less_is_explained(name):
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        build(name, image_size=1)
    message = str(caught.value)
    assert "nothing left" in message
    smallest = int(message.rpartition(" is ")[2].rstrip("."))
    model = build(name, image_size=smallest).eval()
    assert model(torch.randn(1, 3, smallest, smallest)).shape == (1, 10)
    with pytest.raises(cnnzoo.CnnzooError, match=f"image of {smallest - 1} x {smallest - 1}"):
        build(name, image_size=smallest - 1)


def test_wrong_inputs_are_explained(model):
    with pytest.raises(cnnzoo.CnnzooError, match=r"got one image: use x\[None\]"):
        model(torch.randn(3, 32, 32))
    for shape in [(2, 1, 32, 32), (2, 3, 28, 28), (2, 3 * 32 * 32), (2, 3, 32, 32, 1)]:
        with pytest.raises(cnnzoo.CnnzooError, match=r"built for images \(N, 3, 32, 32\)"):
            model(torch.randn(shape))


@pytest.mark.parametrize("layer", layer_implementations())
def test_implementations_share_weights_and_answers(model, layer):
    name, weights = model.spec["model"], model.state_dict()
    other = build_with_weights(weights, name, conv_relu_maxpool=layer).eval()
    if not any(isinstance(module, ConvReluMaxPool) for module in other.modules()):
        return  # it takes the argument and has nothing to exchange
    judge = build_with_weights(weights, name, conv_relu_maxpool="eager").eval()
    x = torch.randn(2, 3, *model.image_size)
    with torch.no_grad():
        wanted = judge(x)
        torch.testing.assert_close(other(x), wanted, rtol=0, atol=float(3e-5 * wanted.abs().max()))


def test_stages_are_the_feature_maps_in_the_order_they_run(model):
    seen = {}
    handles = [
        model.get_submodule(path).register_forward_hook(
            lambda module, given, output, stage=stage: seen.setdefault(stage, output)
        )
        for stage, path in model.stages.items()
    ]
    model(torch.randn(2, 3, *model.image_size))
    for handle in handles:
        handle.remove()
    assert list(seen) == list(model.stages) != []
    heights = [output.shape[2] for output in seen.values()]
    assert all(output.dim() == 4 and len(output) == 2 for output in seen.values())
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("in_channels", 0),
        ("num_classes", -1),
        ("image_size", 2.5),
        ("image_size", (28, 28, 3)),
        ("conv_relu_maxpool", "fsated"),
    ],
)
def test_bad_arguments(name, argument, value):
    with pytest.raises(cnnzoo.CnnzooError, match=argument):
        build(name, **{argument: value})


def test_batch_of_none(model):
    assert model(torch.randn(0, 3, *model.image_size)).shape == (0, 10)


def test_dropout_is_found_by_its_name():
    model = without_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Dropout2d()))
    assert [module.training for module in model] == [True, False, False]
