"""The layers that are timed are those of the networks whose names they bear."""

import pytest
import torch
import torchvision
from torch import nn

import cnnzoo
from benchmarks.workloads import LAYERS, NETWORKS, QUICK_LAYERS, Layer, channels_sweep
from cnnzoo.layers import ConvReluMaxPool

BY_NAME = {layer.name: layer for layer in LAYERS}


def described(conv, pool, x, y):
    """What a convolution and a pool are, as a `Layer` says it; x (N, C, H, H), y (N, K, P, P)."""

    def square(value):
        pair = (value, value) if isinstance(value, int) else tuple(value)
        assert pair[0] == pair[1]
        return pair[0]

    sizes = [square(v) for v in (conv.kernel_size, conv.stride, conv.padding)]
    sizes += [square(v) for v in (pool.kernel_size, pool.stride, pool.padding)]
    return (*x[1:3], *sizes, *y[1:3])


def claimed(layer: Layer):
    pool = (layer.pool, layer.pool_stride, layer.pool_padding)
    conv = (layer.kernel, layer.stride, layer.padding)
    return (layer.channels, layer.size, *conv, *pool, layer.filters, layer.pooled_size)


def pooled_blocks(model: nn.Module, size: int):
    """Run shapes through a model: what each pair of convolution and max-pool does, in order."""
    found, conv, conv_input = [], None, None

    def note(module, args, output):
        nonlocal conv, conv_input
        if isinstance(module, nn.Conv2d):
            conv, conv_input = module, args[0].shape
        elif isinstance(module, nn.MaxPool2d):
            found.append(described(conv, module, conv_input, output.shape))

    for module in model.modules():
        module.register_forward_hook(note)
    model(torch.empty(1, 3, size, size, device="meta"))
    return found


@pytest.fixture(scope="module", params=["alexnet", "vgg16", "resnet18"])
def network(request):
    with torch.device("meta"):
        model = getattr(torchvision.models, request.param)().eval()
    return request.param, pooled_blocks(model, 224)


def test_layers_are_those_of_torchvision(network):
    name, blocks = network
    names = {
        "alexnet": ["alexnet conv1", "alexnet conv2", "alexnet conv5"],
        "vgg16": [f"vgg block{i}" for i in range(1, 6)],
        "resnet18": ["resnet stem"],
    }[name]
    assert [claimed(BY_NAME[each]) for each in names] == blocks


@pytest.mark.parametrize(("model", "prefix"), [("mnist_cnn", "tutorial"), ("lenet5", "lenet")])
def test_layers_are_those_of_the_zoo(model, prefix):
    built = cnnzoo.build(model)
    for name in ("conv1", "conv2"):
        module, layer = getattr(built, name), BY_NAME[f"{prefix} {name}"]
        assert isinstance(module, ConvReluMaxPool)
        assert tuple(module.weight.shape) == layer.weight_shape
        assert module.stride == (layer.stride,) * 2
        assert module.padding == (layer.padding,) * 2
        assert module.pool_size == (layer.pool,) * 2
        assert module.output_size((layer.size,) * 2) == (layer.pooled_size,) * 2


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_covered_rows_are_counted_one_by_one(layer):
    rows = {
        window * layer.pool_stride - layer.pool_padding + row
        for window in range(layer.pooled_size)
        for row in range(layer.pool)
    }
    assert layer.covered_size == len(rows & set(range(layer.conv_size)))


def test_flops_of_the_tutorials_second_layer():
    # 10 of 11 rows survive the pool's floor; a filter has 32·9 weights.
    assert BY_NAME["tutorial conv2"].flops == 2 * 128 * 32 * 32 * 9 * 10 * 10


def test_names_are_unique_and_known():
    assert len(BY_NAME) == len(LAYERS)
    assert set(QUICK_LAYERS) <= set(BY_NAME)
    assert {network.name for network in NETWORKS} <= set(cnnzoo.list_models())
    assert {layer.name for layer in LAYERS if layer.opens} == {
        "tutorial conv1",
        "lenet conv1",
        "cifar 3-64",
        "alexnet conv1",
        "resnet stem",
    }


def test_the_sweep_of_channels_stays_short():
    assert all(channels_sweep(2**n).flops < 4e9 for n in range(10))
