"""What every registered model can do: the registry is the test matrix."""

import pytest
import torch
import torch.nn.functional as F
from layer_names import layer_implementations

import cnnzoo

MODELS = [name for name in cnnzoo.list_models() if ":" not in name]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("num_classes", [3, 10])
@pytest.mark.parametrize("batch", [1, 5])
def test_forward_and_backward(name, in_channels, num_classes, batch):
    torch.manual_seed(0)
    model = cnnzoo.build(name, in_channels=in_channels, num_classes=num_classes)
    x = torch.randn(batch, in_channels, *model.image_size, requires_grad=True)
    logits = model(x)
    assert logits.shape == (batch, num_classes)
    F.cross_entropy(logits, torch.arange(batch) % num_classes).backward()
    assert x.grad.abs().sum() > 0
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_lowers_the_loss(name):
    torch.manual_seed(0)
    model = cnnzoo.build(name)
    x = torch.randn(16, 1, *model.image_size)
    labels = torch.arange(16) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = F.cross_entropy(model(x), labels)
    before.backward()
    optimizer.step()
    assert F.cross_entropy(model(x), labels) < before


@pytest.mark.parametrize("name", MODELS)
def test_spec_and_state_dict_round_trip(name):
    model = cnnzoo.build(name, num_classes=4, in_channels=3, image_size=32)
    again = cnnzoo.build(model.spec)
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert again.spec == model.spec
    assert torch.equal(again.eval()(x), model.eval()(x))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("image_size", [28, (32, 40)])
def test_other_image_sizes(name, image_size):
    model = cnnzoo.build(name, image_size=image_size)
    assert model(torch.randn(2, 1, *model.image_size)).shape == (2, 10)


@pytest.mark.parametrize("name", MODELS)
def test_smallest_input_works_and_a_pixel_less_is_explained(name):
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        cnnzoo.build(name, image_size=1)
    message = str(caught.value)
    assert "nothing left" in message
    smallest = int(message.rpartition(" is ")[2].rstrip("."))
    assert cnnzoo.build(name, image_size=smallest)(torch.randn(1, 1, smallest, smallest)).shape == (
        1,
        10,
    )
    with pytest.raises(cnnzoo.CnnzooError, match=f"image of {smallest - 1} x {smallest - 1}"):
        cnnzoo.build(name, image_size=smallest - 1)


@pytest.mark.parametrize("name", MODELS)
def test_wrong_inputs_are_explained(name):
    model = cnnzoo.build(name, in_channels=3, image_size=32)
    with pytest.raises(cnnzoo.CnnzooError, match=r"got one image: use x\[None\]"):
        model(torch.randn(3, 32, 32))
    for shape in [(2, 1, 32, 32), (2, 3, 28, 28), (2, 3 * 32 * 32), (2, 3, 32, 32, 1)]:
        with pytest.raises(cnnzoo.CnnzooError, match=r"built for images \(N, 3, 32, 32\)"):
            model(torch.randn(shape))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("layer", layer_implementations())
def test_implementations_share_weights_and_answers(name, layer):
    judge = cnnzoo.build(name, conv_relu_maxpool="eager")
    model = cnnzoo.build(name, conv_relu_maxpool=layer)
    model.load_state_dict(judge.state_dict())
    x = torch.randn(2, 1, *model.image_size)
    torch.testing.assert_close(model(x), judge(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("argument", "value"),
    [("in_channels", 0), ("num_classes", -1), ("image_size", 2.5), ("image_size", (28, 28, 3))],
)
def test_bad_arguments(name, argument, value):
    with pytest.raises(cnnzoo.CnnzooError, match=argument):
        cnnzoo.build(name, **{argument: value})


@pytest.mark.parametrize("name", MODELS)
def test_batch_of_none(name):
    model = cnnzoo.build(name).eval()
    assert model(torch.randn(0, 1, *model.image_size)).shape == (0, 10)
