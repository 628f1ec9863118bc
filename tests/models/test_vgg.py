"""VGG: torchvision is the judge of all eight; the small forms are the zoo's own."""

import pytest
import torch
import torchvision
from family_checks import (
    parameters,
    stage_sizes,
    with_random_statistics,
)
from torch import nn

import cnnzoo
from cnnzoo.layers import ConvReluMaxPool

KNOWN = {
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}


@pytest.fixture(scope="module")
def classifier():
    """Return the linear layers that all eight have in common: 0.5 GB, drawn once."""
    torch.manual_seed(0)
    with torch.device("meta"):
        layers = torchvision.models.vgg11(weights=None, num_classes=20).classifier
    layers.to_empty(device="cpu")
    for parameter in layers.parameters():
        bound = (6 / parameter.shape[-1]) ** 0.5
        nn.init.uniform_(parameter, -bound, bound)
    return layers


def test_registered_names_are_torchvisions():
    own = set(cnnzoo.list_models("vgg*")) - {"vgg_small"}
    assert own == set(KNOWN) == set(torchvision.models.list_models(include="vgg*"))


@pytest.mark.parametrize(("name", "known"), KNOWN.items())
def test_parameters_are_the_known_number(name, known):
    assert parameters(name) == known


@pytest.mark.parametrize(
    ("name", "image_size"),
    [*((name, 64) for name in KNOWN), ("vgg11_bn", (70, 100)), ("vgg16", 224)],
)
def test_torchvision_weights_give_the_same_logits(name, image_size, classifier):
    torch.manual_seed(1)
    with torch.device("meta"):
        judge = torchvision.models.get_model(name, weights=None, num_classes=20)
    judge.features.to_empty(device="cpu")
    for module in judge.features:
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    judge.classifier = classifier
    with_random_statistics(judge).eval()
    model = cnnzoo_with_tensors_of(judge, name, image_size)
    x = torch.randn(2 if image_size == 64 else 1, 3, *model.image_size)
    with torch.no_grad():
        logits = judge(x)
        assert logits.std() > 0.1
        torch.testing.assert_close(model(x), logits, rtol=0, atol=float(2e-5 * logits.abs().max()))


def cnnzoo_with_tensors_of(judge, name, image_size):
    with torch.device("meta"):
        model = cnnzoo.build(name, num_classes=20, image_size=image_size)
    model.load_state_dict(judge.state_dict(), strict=True, assign=True)
    return model.eval()


def test_initialisation_is_torchvisions():
    torch.manual_seed(0)
    model = cnnzoo.build("vgg11", image_size=32, num_classes=100)
    for key, parameter in model.named_parameters():
        if key.endswith("bias"):
            assert not parameter.any(), key
        elif key.startswith("features"):
            expected = (2 / (parameter.shape[0] * 9)) ** 0.5
            assert parameter.std().item() == pytest.approx(expected, rel=0.05), key


def test_linear_layers_of_the_large_form_start_small(monkeypatch):
    spread = {}
    monkeypatch.setattr(
        nn.init, "normal_", lambda tensor, mean, std: spread.update({tensor.shape: (mean, std)})
    )
    with torch.device("meta"):
        cnnzoo.build("vgg11", num_classes=10)
    shapes = [(4096, 512 * 49), (4096, 4096), (10, 4096)]
    assert spread == {torch.Size(shape): (0, 0.01) for shape in shapes}


@pytest.mark.parametrize(("name", "sites"), [("vgg16", 5), ("vgg16_bn", 0), ("vgg_small", 3)])
def test_where_nothing_stands_between_it_is_fused(name, sites):
    with torch.device("meta"):
        model = cnnzoo.build(name, image_size=32)
    assert sum(isinstance(m, ConvReluMaxPool) for m in model.modules()) == sites


def test_the_small_one_normalises_after_the_pool():
    model = cnnzoo.build("vgg_small", in_channels=1, image_size=28)
    kinds = [type(module).__name__ for module in model.features]
    fused = "FusedConvReluMaxPool"
    assert kinds == [fused, "BatchNorm2d"] * 2 + ["Conv2d", "ReLU", "BatchNorm2d"] + [
        fused,
        "BatchNorm2d",
    ]
    assert stage_sizes(model) == {
        "block1": (32, 14, 14),
        "block2": (64, 7, 7),
        "block3": (128, 3, 3),
    }
    convolutions = sum(9 * c * k + k for c, k in [(1, 32), (32, 64), (64, 128), (128, 128)])
    norms = 2 * (32 + 64 + 128 + 128)
    linear = 128 * 3 * 3 * 10 + 10
    assert parameters("vgg_small", in_channels=1, image_size=28) == convolutions + norms + linear
    assert parameters("vgg_small", batch_norm=False) < parameters("vgg_small") < 265_000


@pytest.mark.parametrize("name", ["vgg11", "vgg13_bn"])
@pytest.mark.parametrize(
    ("image_size", "pixels"),
    [(64, (32, 16, 8, 4, 2)), (32, (16, 8, 4, 2, 1)), (28, (14, 7, 3, 1, 1))],
)
def test_stages_and_classifier_at_every_size(name, image_size, pixels):
    with torch.device("meta"):
        model = cnnzoo.build(name, image_size=image_size, num_classes=10)
    width = 512 * 7 * 7 if image_size == 64 else 512
    assert model.classifier[0].in_features == width
    model.classifier = nn.Identity()  # its 119 million weights are not needed
    model.to_empty(device="cpu")
    channels = (64, 128, 256, 512, 512)
    assert list(stage_sizes(model).items()) == [
        (f"block{b}", (k, n, n)) for b, (k, n) in enumerate(zip(channels, pixels, strict=True), 1)
    ]


def test_a_pixel_too_few_is_shown_in_a_table():
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        cnnzoo.build("vgg19", image_size=15)
    lines = str(caught.value).splitlines()
    assert lines[0] == "vgg19: an image of 15 x 15 is too small."
    assert " ".join(lines[-2].split()) == "conv4_4 max-pool 2 x 2 0 x 0 <- nothing left"
    assert lines[-1] == "The smallest image_size that works is 16."
