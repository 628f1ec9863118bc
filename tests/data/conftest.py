"""A small copy of every data set, and a machine without a network."""

import urllib.error

import pytest
import torch
from small_files import write_cifar10, write_mnist, write_pictures

from cnnzoo.data import ImageSet


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.fixture
def root_of(tmp_path, monkeypatch):
    """Return a function from a registered name to the options that load a small copy of it."""

    def options(name):
        match name:
            case "digits":
                return {}
            case "mnist":
                write_mnist(tmp_path, "MNIST")
            case "fashion_mnist":
                write_mnist(tmp_path, "FashionMNIST")
            case "cifar10":
                write_cifar10(tmp_path, monkeypatch)
            case "folder":
                write_pictures(tmp_path)
            case _:
                pytest.fail(f"say in {__file__} how a small copy of {name!r} is made")
        return {"root": tmp_path}

    return options


@pytest.fixture
def small_set():
    """Return 23 images 3x4x5, no two alike, in 4 classes."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (23, 3, 4, 5), dtype=torch.uint8, generator=generator)
    return ImageSet.from_tensors(images, torch.arange(23) % 4, list("abcd"), name="small")
