"""What a network costs: against sums done by hand and the figures that torchvision publishes."""

import json

import pytest
import torch
from click.testing import CliRunner
from layer_names import layer_implementations
from torch import nn

import cnnzoo
from cnnzoo import summary
from cnnzoo.cli import main
from cnnzoo.summary import _counting

MODELS = [name for name in cnnzoo.list_models() if ":" not in name]


class Attention(nn.Module):
    """A parameter of its own, a product of matrices in no layer, one layer called twice."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(7))
        self.linear = nn.Linear(7, 7)
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        x = self.linear(self.linear(x * self.scale))
        return x @ x.mT


class Square(nn.Module):
    """A product of matrices in a module that holds another, and no parameter."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Identity()

    def forward(self, x):
        return self.inner(x) @ x.mT


def run(arguments):
    return CliRunner().invoke(main, arguments.split())


@pytest.mark.parametrize("implementation", layer_implementations())
def test_mnist_cnn_by_hand(implementation):
    found = cnnzoo.summarize(cnnzoo.build("mnist_cnn", conv_relu_maxpool=implementation))
    assert [(each.name, each.output, each.macs) for each in found.layers] == [
        ("conv1", (1, 32, 13, 13), 26 * 26 * 32 * 9),
        ("conv2", (1, 32, 5, 5), 11 * 11 * 32 * 32 * 9),  # 11, of which the pool drops one
        ("fc1", (1, 100), 800 * 100),
        ("fc2", (1, 10), 100 * 10),
    ]
    assert [each.parameters for each in found.layers] == [320, 9248, 80100, 1010]
    assert found.activation_bytes == 4 * (32 * 13 * 13 + 32 * 5 * 5 + 100 + 10)
    assert (found.parameters, found.macs) == (90678, 1390824)


@pytest.mark.parametrize("implementation", layer_implementations())
@pytest.mark.parametrize("grad", [False, True])
def test_the_operator_is_counted_where_it_really_runs(implementation, grad):
    model = cnnzoo.build("mnist_cnn", conv_relu_maxpool=implementation)
    with torch.set_grad_enabled(grad):
        calls, _ = _counting.count_calls(model, {}, torch.zeros(3, 1, 28, 28))
    macs = {call.name: call.macs for call in calls}
    assert macs == {"": 0, "conv1": 584064, "conv2": 3345408, "fc1": 240000, "fc2": 3000}


def test_the_operators_strides_and_padding_count():
    layer = cnnzoo.ConvReluMaxPool  # the sizes only
    sizes = {"stride": (2, 1), "padding": (1, 2), "pool_size": 2}
    high, wide = layer(2, 4, (3, 5), **sizes).conv_size((9, 11))
    x, weight = torch.Size((3, 2, 9, 11)), torch.Size((4, 2, 3, 5))
    formula = _counting.formulas()[torch.ops.cnnzoo.conv_relu_maxpool_raw]
    window = [2, 1, 1, 2, 2, 2, 2, 2, 0, 0]
    assert formula(x, weight, None, window) == 2 * 3 * 4 * high * wide * 2 * 3 * 5


# Billions, as torchvision's page of weights has them ("GFLOPS", which are multiply-adds), at 224.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("resnet18", 1.81),
        ("resnet50", 4.09),
        ("vgg16", 15.47),
        ("alexnet", 0.71),
        ("mobilenet_v2", 0.30),
        ("tv:squeezenet1_1", 0.35),
        ("tv:resnext50_32x4d", 4.23),
    ],
)
def test_torchvisions_figures(name, billions):
    assert round(cnnzoo.summarize(cnnzoo.build(name), (3, 224, 224)).macs / 1e9, 2) == billions


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name):
    model = cnnzoo.build(name, image_size=32)
    found = cnnzoo.summarize(model, batch_size=2)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.layers[-1].output is not None, "a layer that did not run"
    assert found.macs > 0
    assert list(found.stages) == list(model.stages)
    assert all(shape[0] == 2 and len(shape) == 4 for shape in found.stages.values())
    assert [name for name, _ in found.steps()][: 1 + len(found.stages)] == ["input", *found.stages]
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_meta_and_the_real_device_agree(monkeypatch):
    model = cnnzoo.build("resnet20", image_size=16)
    on_meta = cnnzoo.summarize(model)
    real, count = [], summary.count_calls

    def refuse_meta(model, state, image):
        if image.is_meta:
            raise RuntimeError("looks at values")
        real.append(1)
        return count(model, state, image)

    monkeypatch.setattr(summary, "count_calls", refuse_meta)
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    assert cnnzoo.summarize(model) == on_meta
    assert real
    assert all(torch.equal(buffers[key], value) for key, value in model.named_buffers())


def test_sums_are_right_where_modules_are_not_simple():
    found = cnnzoo.summarize(Attention(), (5, 7))
    rows = [(each.name, each.parameters, each.macs, each.output) for each in found.layers]
    product = 5 * 5 * 7
    assert rows == [
        ("", 7, product, (1, 5, 5)),
        ("linear", 56, 5 * 49, (1, 5, 7)),
        ("linear", 0, 5 * 49, (1, 5, 7)),
        ("spare", 6, 0, None),
    ]
    assert found.parameters == sum(p.numel() for p in Attention().parameters())


def test_what_a_container_computes_itself_has_a_line():
    layers = cnnzoo.summarize(nn.Sequential(Square()), (5, 7)).layers
    assert [(each.name, each.macs) for each in layers] == [("0", 5 * 5 * 7), ("0.inner", 0)]


def test_tied_weights_count_once():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert cnnzoo.summarize(model, (3,)).parameters == 9


def test_outputs_in_place_and_views_take_nothing():
    model = nn.Sequential(nn.ReLU(), nn.ReLU(inplace=True), nn.Flatten(), nn.Identity())
    layers = cnnzoo.summarize(model, (2, 3, 4), batch_size=5).layers
    assert [each.activation_bytes for each in layers] == [5 * 24 * 4, 0, 0, 0]


def test_bridged_models_show_the_last_map_of_each_size():
    found = cnnzoo.summarize(cnnzoo.build("tv:googlenet"))
    assert found.steps()[-4:] == [
        ("inception4e", (832, 14, 14)),
        ("inception5b", (1024, 7, 7)),
        ("avgpool", (1024, 1, 1)),
        ("fc", (1000,)),
    ]


def test_it_prints():
    lines = str(cnnzoo.summarize(cnnzoo.build("mnist_cnn"))).splitlines()
    first = "conv1 FusedConvReluMaxPool 1x32x13x13 320 194,688 21,632"
    assert lines[1].split() == first.split()
    assert lines[-1].split() == ["total", "90,678", "1,390,824", "25,272"]


def test_bad_sizes():
    with pytest.raises(cnnzoo.CnnzooError, match="does not tell the size of its images"):
        cnnzoo.summarize(nn.Conv2d(1, 1, 3))
    with pytest.raises(cnnzoo.CnnzooError, match="positive whole numbers; got"):
        cnnzoo.summarize(nn.Conv2d(1, 1, 3), (1, 0, 4))
    with pytest.raises(cnnzoo.CnnzooError, match=r"cannot run on an input \(1, 2, 5, 5\)"):
        cnnzoo.summarize(nn.Conv2d(1, 1, 3), (2, 5, 5))
    with pytest.raises(cnnzoo.CnnzooError, match="built for images"):
        cnnzoo.summarize(cnnzoo.build("mnist_cnn"), (3, 28, 28))


def test_info_with_a_size():
    found = json.loads(run("info mnist_cnn --input 3,32,40 --batch-size 4 --json").output)
    assert found["input"] == [4, 3, 32, 40]
    assert found["arguments"]["image_size"] == 28  # the defaults are still the defaults
    assert found["layers"][0] | {"kind": ""} == {
        "name": "conv1",
        "kind": "",
        "output": [4, 32, 15, 19],
        "parameters": 32 * 28,
        "macs": 4 * 30 * 38 * 32 * 27,
        "activation_bytes": 4 * 4 * 32 * 15 * 19,
    }
    assert found["macs"] == sum(each["macs"] for each in found["layers"])
    printed = run("info mnist_cnn --input 1,28,28").output
    assert "for an input 1 × 1 × 28 × 28" in printed
    assert "1,390,824   24.7 KiB" in printed


@pytest.mark.parametrize("size", ["28", "1,28", "1,28,x", "1,0,28", "1,28,28,1"])
def test_info_explains_a_wrong_size(size):
    result = run(f"info mnist_cnn --input {size}")
    assert result.exit_code == 2
    assert "expected" in result.output


def test_info_draws(tmp_path):
    path = tmp_path / "net.png"
    assert f"Drawn into {path}" in run(f"info lenet5 --picture {path}").output.replace("\n", "")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert run(f"info lenet5 --picture {tmp_path / 'net.txt'}").exit_code != 0
