"""A model in one file: what comes back, and every way such a file can be wrong."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

import cnnzoo
from cnnzoo.data import Preprocessing

MNIST = Preprocessing(1, 28, 28, mean=(0.1307,), std=(0.3081,))


@pytest.fixture
def saved(tmp_path):
    """Return a file with a model, and the model."""
    model = cnnzoo.build("lenet5", num_classes=3)
    path = tmp_path / "model.safetensors"
    cnnzoo.save_model(path, model, classes=["a", "b", "c"], preprocessing=MNIST)
    return path, model


def rewrite(path, weights=None, **changes):
    """Write the file again with another header or other weights."""
    header = {
        "format": "cnnzoo model 1",
        "spec": {"model": "lenet5", "arguments": {"num_classes": 3}},
    }
    weights = load_file(path) if weights is None else weights
    save_file(weights, path, {"cnnzoo": json.dumps(header | changes)})


def test_everything_comes_back(saved):
    path, model = saved
    loaded = cnnzoo.load_model(path)
    assert (loaded.spec, loaded.classes, loaded.preprocessing) == (
        model.spec,
        ("a", "b", "c"),
        MNIST,
    )
    assert not loaded.model.training
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(loaded.model(x), model.eval()(x))


def test_save_and_load_keep_what_is_on_the_model(tmp_path):
    model = cnnzoo.build("lenet5", num_classes=2)
    model.classes, model.preprocessing = ("cat", "dog"), MNIST
    cnnzoo.save(model, tmp_path / "model.safetensors")
    loaded = cnnzoo.load(tmp_path)  # the folder it lies in
    assert (loaded.classes, loaded.preprocessing) == (("cat", "dog"), MNIST)
    assert (loaded.spec, loaded.training) == (model.spec, False)
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(loaded(x), model.eval()(x))
    assert cnnzoo.predict(loaded, x[0].sigmoid()).label in ("cat", "dog")


def test_what_is_given_to_save_wins(tmp_path):
    model = cnnzoo.build("lenet5", num_classes=2)
    model.classes = ("cat", "dog")
    cnnzoo.save(model, tmp_path / "m", classes=["up", "down"], preprocessing=MNIST)
    loaded = cnnzoo.load(tmp_path / "m")
    assert (loaded.classes, loaded.preprocessing) == (("up", "down"), MNIST)
    cnnzoo.save(cnnzoo.build("lenet5"), tmp_path / "m")
    loaded = cnnzoo.load(tmp_path / "m")
    assert (loaded.classes, loaded.preprocessing) == ((), None)


def test_the_same_model_is_the_same_bytes(saved, tmp_path):
    path, model = saved
    for number in range(5):
        again = tmp_path / f"{number}.safetensors"
        cnnzoo.save_model(again, model, classes=["a", "b", "c"], preprocessing=MNIST)
        assert again.read_bytes() == path.read_bytes()


def test_tied_weights_can_be_saved(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    cnnzoo.save_model(tmp_path / "m.safetensors", model)
    assert torch.equal(load_file(tmp_path / "m.safetensors")["1.weight"], model[0].weight)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), "No model at"),
        (lambda p: p.write_bytes(b""), "no readable safetensors"),
        (lambda p: p.write_bytes(p.read_bytes()[:-10]), "no readable safetensors"),
        (lambda p: p.write_bytes(b"\xff" * 100), "no readable safetensors"),
        (lambda p: p.write_bytes(pickle.dumps(Evil())), "pickled files .* are not read"),
        (lambda p: torch.save({"w": torch.ones(3)}, p), "pickled files .* are not read"),
        (lambda p: save_file(load_file(p), p), "not written by cnnzoo"),
        (lambda p: save_file(load_file(p), p, {"cnnzoo": "{"}), "no JSON"),
        (lambda p: save_file(load_file(p), p, {"cnnzoo": "[1]"}), "another version"),
        (lambda p: rewrite(p, format="cnnzoo model 99"), "another version"),
        (lambda p: rewrite(p, spec=None), "does not say which model"),
        (lambda p: rewrite(p, spec={"model": 3}), "A spec looks like"),
        (lambda p: rewrite(p, spec={"model": "lenet6"}), 'Did you mean "lenet5"'),
        (lambda p: rewrite(p, spec={"model": "lenet5", "arguments": {"x": 1}}), 'no argument "x"'),
        (lambda p: rewrite(p, preprocessing={"channels": "many"}), "channels"),
        (lambda p: rewrite(p, weights={"fc1.weight": torch.ones(2)}), "do not fit"),
        (lambda p: rewrite(p, weights=load_file(p) | {"more": torch.ones(2)}), "do not fit.*more"),
    ],
)
def test_files_that_are_wrong(saved, damage, message):
    path, _ = saved
    damage(path)
    with pytest.raises(cnnzoo.CnnzooError, match=f"(?s){message}"):
        cnnzoo.load_model(path)
