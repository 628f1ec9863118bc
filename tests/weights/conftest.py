"""What the tests of weights share: a small trained model as a file, ways to spoil it, a cache."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import cnnzoo
from cnnzoo.data import Preprocessing

sys.path.insert(0, str(Path(__file__).parents[2]))  # `benchmarks` is no part of the package

GREY = Preprocessing(1, 28, 28, (0.1307,), (0.3081,))


@pytest.fixture
def saved(tmp_path):
    """Return a file with a model of three classes, and the model."""
    torch.manual_seed(0)
    model = cnnzoo.build("lenet5", num_classes=3).eval()
    path = tmp_path / "mine.safetensors"
    cnnzoo.save(model, path, classes=["a", "b", "c"], preprocessing=GREY)
    return path, model


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Make torch keep downloads in a folder of the test; return where cnnzoo's lie."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "torch" / "hub" / "cnnzoo"


@pytest.fixture
def rewrite():
    """Return a function that writes a file again with another header or other weights."""

    def write(path, weights=None, header=None, **changes):
        whole = {
            "format": "cnnzoo model 1",
            "spec": {"model": "lenet5", "arguments": {"num_classes": 3}},
        }
        weights = load_file(path) if weights is None else weights
        text = json.dumps(whole | changes) if header is None else header
        save_file(weights, path, {"cnnzoo": text})

    return write
