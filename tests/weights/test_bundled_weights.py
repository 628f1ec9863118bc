"""What ships: every set of weights loads, is the file of its card, and is as good as it says."""

import fnmatch
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import cnnzoo
from cnnzoo.errors import CnnzooError
from cnnzoo.weights import _cards, find_cards, load_weights, verify

CARDS = cnnzoo.list_weights()
NAMES = [card.name for card in CARDS]


def test_what_the_issue_asks_for_is_there():
    assert {"mnist_cnn-mnist", "lenet5-mnist", "single_layer_cnn-mnist"} <= set(NAMES)
    assert "fashion_cnn-fashion_mnist" in NAMES
    assert sum(card.file.stat().st_size for card in CARDS) <= 3_000_000
    files = {path.stem for path in _cards.FOLDER.glob("*.safetensors")}
    assert files == set(NAMES)


def test_the_files_are_installed_with_the_package():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["cnnzoo"]
    for file in (*_cards.FOLDER.glob("*.json"), *_cards.FOLDER.glob("*.safetensors")):
        name = f"weights/{file.name}"
        assert any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns), name


@pytest.mark.parametrize("card", CARDS, ids=NAMES)
def test_every_card_is_of_a_model_that_loads(card):
    verify(card)
    model = cnnzoo.build(card.model, weights=card.data["name"])
    assert not model.training
    assert model.adapted == ()
    assert len(model.classes) == model.num_classes == 10
    assert sum(p.numel() for p in model.parameters()) == card.parameters
    assert cnnzoo.build(model.spec).spec == model.spec == load_weights(card.name).spec
    page = np.zeros((model.preprocessing.height, model.preprocessing.width), np.uint8)
    page[4:24, 13:16] = 255
    assert cnnzoo.predict(model, page).label in model.classes


@pytest.mark.parametrize("card", CARDS, ids=NAMES)
def test_every_card_tells_the_truth_about_accuracy(card, real_data):
    _, test = cnnzoo.load_data(card.data["name"], root=real_data)
    model = cnnzoo.build(card.model, weights=card.data["name"])
    found = cnnzoo.Trainer(model, batch_size=500, progress=False).evaluate(test).accuracy
    said = card.accuracy["seeds"][str(card.weights["seed"])]
    assert found == pytest.approx(said, abs=3e-4)  # another processor may turn a digit or two
    assert test.fingerprint() == card.data["test"]["sha256"]
    assert found > {"mnist_cnn": 0.994, "fashion_cnn": 0.925}.get(card.model, 0.95)
    assert model.preprocessing == test.preprocessing
    assert model.classes == test.classes


def test_the_models_weights_are_the_weights_of_the_file():
    from safetensors.torch import load_file

    model = cnnzoo.build("mnist_cnn", weights="mnist", conv_relu_maxpool="eager")
    stored = load_file(find_cards("mnist_cnn-mnist")[0].file)
    assert all(torch.equal(stored[key], value) for key, value in model.state_dict().items())
    assert model.spec["arguments"]["conv_relu_maxpool"] == "eager"
    new = cnnzoo.build("mnist_cnn")
    assert not torch.equal(new.fc2.weight, model.fc2.weight)


def test_a_bundled_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    card = find_cards("mnist_cnn-mnist")[0]
    octets = bytearray(card.file.read_bytes())
    octets[-1] ^= 1  # the last bit of the last weight
    (tmp_path / card.file.name).write_bytes(octets)
    _cards.write_card(card, tmp_path)
    monkeypatch.setattr(_cards, "FOLDER", tmp_path)
    with pytest.raises(CnnzooError, match="is not the file that was bundled: its SHA-256 is"):
        cnnzoo.build("mnist_cnn", weights="mnist")
    (tmp_path / card.file.name).unlink()
    with pytest.raises(CnnzooError, match="are missing"):
        cnnzoo.build("mnist_cnn", weights="mnist")
    (tmp_path / f"{card.name}.json").write_text('{"format": "cnnzoo card 1", "name": 3}')
    with pytest.raises(CnnzooError, match="is no card of weights"):
        cnnzoo.list_weights()


def test_names():
    assert [card.name for card in find_cards("MNIST", "lenet5")] == ["lenet5-mnist"]
    assert {card.model for card in find_cards("mnist")} >= {"mnist_cnn", "lenet5"}
    assert load_weights("mnist").spec["model"] == "mnist_cnn"  # of several the tutorial's
    assert load_weights("fashion_mnist").spec["model"] == "fashion_cnn"
    assert cnnzoo.build("LeNet", weights="mnist").spec["model"] == "lenet5"
    with pytest.raises(CnnzooError, match=r'"mnits"\. Did you mean "mnist"\?'):
        cnnzoo.build("mnist_cnn", weights="mnits")
    with pytest.raises(CnnzooError, match='There are no weights "mnist" of "resnet20", only of'):
        cnnzoo.build("resnet20", weights="mnist")
    with pytest.raises(CnnzooError, match="takes a name"):
        cnnzoo.build("mnist_cnn", weights=3)
