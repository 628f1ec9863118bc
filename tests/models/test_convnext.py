"""The small ConvNeXt: torchvision's, built with the same table, is the judge."""

import pytest
import torch
import torchvision
from family_checks import parameters, stage_sizes
from torchvision.models.convnext import CNBlockConfig

import cnnzoo


def torchvisions(num_classes=10):
    table = [(32, 64, 2), (64, 128, 2), (128, 256, 4), (256, None, 2)]
    blocks = [CNBlockConfig(*row) for row in table]
    return torchvision.models.ConvNeXt(blocks, layer_scale=0.5, num_classes=num_classes)


@pytest.mark.parametrize("image_size", [64, 96])
def test_torchvisions_network_of_this_size_gives_the_same_logits(image_size):
    torch.manual_seed(0)
    judge = torchvisions().eval()
    for parameter in judge.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)  # norms and biases are seen then
    model = cnnzoo.build("convnext_micro", image_size=image_size).eval()
    theirs = judge.state_dict()
    ours = model.state_dict()
    assert len(ours) == len(theirs)
    # torchvision numbers its layers: they come in the same order
    state = zip(ours.items(), theirs.values(), strict=True)
    model.load_state_dict({key: new.reshape(old.shape) for (key, old), new in state})
    x = torch.randn(2, 3, image_size, image_size)
    with torch.no_grad():
        expected = judge(x)
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 0.1


def test_parameters_are_those_of_torchvisions():
    expected = sum(p.numel() for p in torchvisions(1000).parameters())
    assert parameters("convnext_micro", num_classes=1000, image_size=224) == expected
    assert 0.5e6 < parameters("convnext_micro") < 3e6


@pytest.mark.parametrize(
    ("image_size", "pixels"), [(224, (56, 56, 28, 14, 7)), (28, (28, 28, 14, 7, 3))]
)
def test_stages(image_size, pixels):
    sizes = stage_sizes(cnnzoo.build("convnext_micro", image_size=image_size, in_channels=1))
    names = ("stem", "stage1", "stage2", "stage3", "stage4")
    expected = zip(names, (32, 32, 64, 128, 256), pixels, strict=True)
    assert sizes == {name: (k, n, n) for name, k, n in expected}


def test_smallest_image():
    model = cnnzoo.build("convnext_micro", image_size=8)
    assert model(torch.randn(1, 3, 8, 8)).shape == (1, 10)
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        cnnzoo.build("convnext_micro", image_size=(7, 40))
    lines = str(caught.value).splitlines()
    assert lines[0] == "convnext_micro: an image of 7 x 40 is too small."
    assert lines[-2].split()[0] == "stage4"
    assert lines[-1] == "The smallest image_size that works is 8."


def test_blocks_are_left_out_only_in_training_and_the_last_most_often():
    torch.manual_seed(0)
    model = cnnzoo.build("convnext_micro", image_size=8, stochastic_depth=0.9)
    drops = [m.p for m in model.modules() if isinstance(m, torchvision.ops.StochasticDepth)]
    assert drops == pytest.approx([0.1 * i for i in range(1, 10)])  # the first has none
    block = model.stage4[-1]
    torch.nn.init.ones_(block.scale)
    x = torch.randn(400, 256, 1, 1)
    with torch.no_grad():
        left_out = (block.train()(x) == x).flatten(1).all(1).float().mean()
        assert left_out == pytest.approx(0.9, abs=0.05)
        assert not (block.eval()(x) == x).flatten(1).all(1).any()


@pytest.mark.parametrize("probability", [-0.1, 1.0, 3])
def test_what_is_no_probability(probability):
    with pytest.raises(cnnzoo.CnnzooError, match="stochastic_depth is a probability below 1"):
        cnnzoo.build("convnext_micro", stochastic_depth=probability)


def test_initialisation_is_the_papers():
    torch.manual_seed(0)
    model = cnnzoo.build("convnext_micro")
    weights = {key: p for key, p in model.named_parameters() if p.dim() > 1}
    for key, weight in weights.items():
        assert weight.std().item() == pytest.approx(0.02, rel=0.15), key
    block = model.stage3[2]
    assert block.scale.tolist() == pytest.approx([1e-6] * 128)
    assert not block.depthwise.bias.any()
    assert not block.narrow.bias.any()
