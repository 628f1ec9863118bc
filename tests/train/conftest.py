"""Small data that a model can learn in a moment."""

import pytest
import torch

import cnnzoo


@pytest.fixture(scope="session")
def digits():
    """Return a third of the embedded digits: (train, test)."""
    train, test = cnnzoo.load_data("digits")
    return train[::3], test[::3]


@pytest.fixture
def make_model():
    """Return a function that builds the same small model every time."""

    def make(name="single_layer_cnn", **options):
        torch.manual_seed(7)
        return cnnzoo.build(name, **options)

    return make


@pytest.fixture(autouse=True)
def _no_pictures(request, monkeypatch):
    """Leave out the drawing, two seconds a run, where a test is not about it."""
    if "pictures" not in request.keywords:
        monkeypatch.setattr("cnnzoo.train.run_folder.draw_plots", lambda *args: None)
