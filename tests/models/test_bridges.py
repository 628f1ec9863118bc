"""Other libraries' models by prefix: found, described, built, and never in the way."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
import torchvision
from click.testing import CliRunner
from torch import nn

import cnnzoo
from cnnzoo import registry
from cnnzoo.cli import main
from cnnzoo.models.bridge_torchvision import renew_first_convolution

# One of each family; the first convolutions sit in a different place in each.
TORCHVISION = [
    ("alexnet", 63),
    ("convnext_tiny", 32),
    ("densenet121", 32),
    ("efficientnet_b0", 32),
    ("googlenet", 32),
    ("inception_v3", 75),
    ("maxvit_t", 224),
    ("mnasnet0_5", 32),
    ("mobilenet_v2", 32),
    ("mobilenet_v3_small", 32),
    ("regnet_y_400mf", 32),
    ("resnet18", 32),
    ("resnext50_32x4d", 32),
    ("shufflenet_v2_x0_5", 32),
    ("squeezenet1_1", 32),
    ("swin_t", 32),
    ("vit_b_32", 64),
    ("vgg11_bn", 32),
]


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A registry of nothing, with a bridge to a library of two."""
    (tmp_path / "bridges_empty_home").mkdir()
    (tmp_path / "bridges_empty_home" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    shelf = registry.Registry("thing", home="bridges_empty_home")
    shelf.asked = []

    def names():
        shelf.asked.append("names")
        return ["Big10", "big2"]

    shelf.bridge("far", names, lambda name: lambda size=1: (name, size))
    return shelf


def test_bridged_names_are_found_folded_and_suggested(shelf):
    assert shelf.build("FAR:BIG10", size=3) == ("Big10", 3)
    assert shelf.info("far:big2").name == "far:big2"
    assert "far:big2" in shelf
    assert "far:small" not in shelf
    assert "far:" not in shelf
    assert "near:big2" not in shelf
    with pytest.raises(cnnzoo.CnnzooError, match='Did you mean "far:big2"'):
        shelf.info("far:bgi2")


def test_only_the_written_prefix_lists_them(shelf):
    shelf.register("near")(dict)
    assert shelf.names() == ["near"]
    assert shelf.names("*:*") == []
    assert shelf.names("f*") == []
    assert "near" in shelf
    assert shelf.asked == [], "nobody asked for the library"
    assert shelf.names("Far:*") == ["far:big2", "far:Big10"]
    assert shelf.names(["near", "far:*10"]) == ["far:Big10", "near"]


def test_listing_imports_neither_library():
    code = (
        "import sys, cnnzoo; names = cnnzoo.list_models(); cnnzoo.model_info('vgg16')\n"
        "assert 'vgg16' in names and not any(':' in name for name in names)\n"
        "print(sorted({'torchvision', 'timm'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


def test_all_of_torchvisions_classifiers_are_listed():
    own = [f"tv:{name}" for name in torchvision.models.list_models(module=torchvision.models)]
    assert sorted(cnnzoo.list_models("tv:*")) == sorted(own)
    assert len(own) >= 80


def test_commands_list_and_describe_them():
    listed = CliRunner().invoke(main, ["list", "tv:vgg1*"])
    assert listed.exit_code == 0
    assert "tv:vgg11_bn" in listed.output
    assert "VGG-11 from Very Deep Convolutional Networks" in listed.output
    assert '"tv:*"' in CliRunner().invoke(main, ["list"]).output
    described = CliRunner().invoke(main, ["info", "tv:squeezenet1_1"])
    assert described.exit_code == 0
    assert "1,235,496 parameters" in described.output


@pytest.mark.parametrize(("name", "image_size"), TORCHVISION)
def test_torchvision_models_are_built_for_grey_images(name, image_size):
    def make():
        return cnnzoo.build(f"tv:{name}", in_channels=1, num_classes=3, image_size=image_size)

    if name.startswith("regnet"):  # computes with tensors while it is built
        device, model = "cpu", make()
    else:
        device = "meta"  # shapes only
        with torch.device(device):
            model = make()
    assert model.training
    logits = model(torch.zeros(2, 1, image_size, image_size, device=device))
    assert logits.shape == (2, 3)
    if name == "vgg11_bn":
        assert (model.in_channels, model.num_classes, model.image_size) == (1, 3, (32, 32))


def test_it_is_torchvisions_own_model():
    torch.manual_seed(0)
    judge = torchvision.models.squeezenet1_1(weights=None, num_classes=5).eval()
    model = cnnzoo.build("tv:squeezenet1_1", num_classes=5, image_size=64).eval()
    assert type(model) is type(judge)
    model.load_state_dict(judge.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(model(x), judge(x))


def test_spec_rebuilds_and_gradients_arrive():
    model = cnnzoo.build("tv:squeezenet1_1", num_classes=4, in_channels=2, image_size=(40, 48))
    again = cnnzoo.build(model.spec)
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, 2, 40, 48, requires_grad=True)
    assert model.spec["model"] == "tv:squeezenet1_1"
    assert again.spec == model.spec
    logits = model.eval()(x)
    assert torch.equal(again.eval()(x), logits)
    F.cross_entropy(logits, torch.tensor([0, 3])).backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("in_channels", [1, 4])
def test_a_renewed_convolution_varies_its_output_as_the_old_one(bias, in_channels):
    torch.manual_seed(0)
    old = nn.Conv2d(3, 512, 7, stride=2, padding=3, dilation=2, bias=bias)
    model = nn.Sequential(nn.Sequential(old), nn.ReLU(), nn.Conv2d(512, 1, 1))
    renew_first_convolution(model, in_channels)
    new = model[0][0]
    for key in ("kernel_size", "stride", "padding", "dilation", "out_channels"):
        assert getattr(new, key) == getattr(old, key)
    assert new.in_channels == in_channels
    assert torch.equal(new.bias, old.bias) if bias else new.bias is None
    spread = [conv.weight.flatten(1).norm(dim=1).mean().item() for conv in (old, new)]
    assert spread[1] == pytest.approx(spread[0], rel=0.03)
    assert model[2].in_channels == 512


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("alexnet", {"image_size": 62}, "images of 3 x 62 x 62: .*own image_size is 224"),
        ("vit_b_32", {"image_size": 33}, "indivisible by patch size"),
        ("vit_b_32", {"image_size": (32, 64)}, "square images"),
        ("resnet18", {"num_clases": 3}, 'Did you mean "num_classes"'),
        ("resnet18", {"in_channels": 0}, "in_channels must be a positive integer"),
        ("resnt18", {}, 'Did you mean "tv:resnet18"'),
    ],
)
def test_what_cannot_be_is_one_sentence(name, arguments, words):
    with pytest.raises(cnnzoo.CnnzooError, match=words) as caught:
        cnnzoo.build(f"tv:{name}", **arguments)
    assert "\n" not in str(caught.value)


def test_without_timm_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # as if it were not installed
    for ask in (
        lambda: cnnzoo.build("timm:resnet18"),
        lambda: cnnzoo.list_models("timm:*"),
        lambda: cnnzoo.model_info("timm:resnet18"),
    ):
        with pytest.raises(cnnzoo.CnnzooError, match=r'pip install "cnnzoo\[timm\]"'):
            ask()
    assert CliRunner().invoke(main, ["list", "timm:*"]).exit_code == 2
    assert "vgg16" in cnnzoo.list_models()


@pytest.mark.parametrize(
    ("name", "image_size"),
    [("resnet10t", 32), ("vgg11", 32), ("vit_tiny_patch16_224", 64), ("vit_tiny_patch16_224", 224)],
)
def test_timm_models_are_built_like_the_others(name, image_size):
    pytest.importorskip("timm")
    arguments = {"in_channels": 1, "num_classes": 3, "image_size": image_size}
    with torch.device("meta"):
        model = cnnzoo.build(f"timm:{name}", **arguments)
    assert f"timm:{name}" in cnnzoo.list_models("timm:*")
    assert model.spec == {"model": f"timm:{name}", "arguments": arguments}
    assert model(torch.zeros(2, 1, image_size, image_size, device="meta")).shape == (2, 3)
    assert cnnzoo.model_info(f"timm:{name}").summary.startswith("timm's ")


def test_timm_refuses_an_image_size_in_a_sentence():
    pytest.importorskip("timm")
    with pytest.raises(cnnzoo.CnnzooError, match="own image_size is 224"):
        cnnzoo.build("timm:vit_tiny_patch16_224", image_size=3)
