"""The tutorial's network, parameter for parameter."""

import pytest
import torch

import cnnzoo


def test_parameters_are_the_tutorials():
    model = cnnzoo.build("mnist_cnn")
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes == {
        "conv1.weight": (32, 1, 3, 3),
        "conv1.bias": (32,),
        "conv2.weight": (32, 32, 3, 3),
        "conv2.bias": (32,),
        "fc1.weight": (100, 800),
        "fc1.bias": (100,),
        "fc2.weight": (10, 100),
        "fc2.bias": (10,),
    }
    assert sum(p.numel() for p in model.parameters()) == 90_678


def test_initialisation_is_the_tutorials():
    torch.manual_seed(0)
    model = cnnzoo.build("mnist_cnn")
    kaiming = {"conv1": 9, "conv2": 288, "fc1": 800}
    bounds = {f"{name}.weight": (6 / fan_in) ** 0.5 for name, fan_in in kaiming.items()}
    bounds["fc2.weight"] = (6 / 110) ** 0.5  # Xavier: fan-in and fan-out
    for name, bound in bounds.items():
        weight = model.get_parameter(name)
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.9 * bound, name


def test_flatten_width_is_derived():
    assert cnnzoo.build("mnist_cnn", image_size=32).fc1.in_features == 32 * 6 * 6
    assert cnnzoo.build("mnist_cnn", image_size=(28, 64)).fc1.in_features == 32 * 5 * 14


def test_the_table_shows_where_the_image_is_used_up():
    with pytest.raises(cnnzoo.CnnzooError) as caught:
        cnnzoo.build("mnist_cnn", image_size=9)
    lines = str(caught.value).splitlines()
    assert lines[0] == "mnist_cnn: an image of 9 x 9 is too small."
    assert lines[-2].split() == [
        "conv2",
        "max-pool",
        "2",
        "x",
        "2",
        "0",
        "x",
        "0",
        "<-",
        "nothing",
        "left",
    ]
    assert lines[-1] == "The smallest image_size that works is 10."


def test_classic_lenet_has_the_papers_layers():
    model = cnnzoo.build("lenet5", form="classic")
    kinds = [type(m).__name__ for m in model.modules() if not list(m.children())]
    assert kinds == ["Conv2d", "AvgPool2d", "Tanh"] * 2 + ["Linear"] * 3
    assert sum(p.numel() for p in model.parameters()) == 61_706
    with pytest.raises(cnnzoo.CnnzooError, match='"modern" or "classic"'):
        cnnzoo.build("lenet5", form="baroque")
