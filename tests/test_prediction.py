"""A picture goes to the model as the training pictures did, and the model is left as it was."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from torch import nn
from torchvision.datasets import MNIST

import cnnzoo
from cnnzoo.data import Preprocessing
from cnnzoo.errors import CnnzooError
from cnnzoo.model_file import load_model, save_model
from cnnzoo.prediction import predict, predict_many

GREY = Preprocessing(1, 28, 28, (0.1307,), (0.3081,))
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def small(classes: int = 10) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(),
        nn.Linear(4 * 6 * 6, classes),
    )  # fmt: skip


def page() -> np.ndarray:
    ink = np.zeros((28, 28), np.uint8)
    ink[4:25, 13:16] = 255
    return ink


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint8, (28, 28)))
def test_it_is_the_softmax_of_the_model_on_the_preprocessed_image(image):
    model = small().eval()
    answer = predict(model, image, preprocessing=GREY, classes=CLASSES)
    with torch.no_grad():
        logits = model(GREY(torch.from_numpy(image)[None, None]))[0]
    wanted = logits.double().softmax(0).tolist()
    assert list(answer.probabilities) == list(CLASSES)
    assert list(answer.probabilities.values()) == pytest.approx(wanted, abs=1e-6)
    assert abs(math.fsum(answer.probabilities.values()) - 1) < 1e-12
    assert answer.index == int(np.argmax(wanted))
    assert answer.label == CLASSES[answer.index]
    assert answer.probability == answer.probabilities[answer.label] == max(wanted)
    assert np.array_equal(answer.image[0].numpy(), image)


def test_all_kinds_of_picture_give_one_answer(tmp_path):
    model = small()
    Image.fromarray(page()).save(tmp_path / "one.png")
    kinds = [
        tmp_path / "one.png",
        str(tmp_path / "one.png"),
        Image.fromarray(page()),
        page(),
        page()[None],
        page() / 255,
        torch.from_numpy(page()),
        torch.from_numpy(page())[None] / 255,
        Image.fromarray(page()).convert("RGB"),
    ]
    answers = predict_many(model, kinds, preprocessing=GREY)
    for answer in answers:
        values = list(answer.probabilities.values())
        assert values == pytest.approx(list(answers[0].probabilities.values()), abs=1e-6)
    assert [w.name for w in answers[-1].warnings] == ["wrong_mode"]
    assert not any(answer.warnings for answer in answers[:-1])


@pytest.mark.parametrize("count", [0, 1, 3, 130])
def test_many_are_what_one_by_one_are(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), np.uint8)
    model = small()
    together = predict_many(model, images, preprocessing=GREY)
    assert len(together) == count
    for image, answer in zip(images[::20], together[::20], strict=True):
        alone = predict(model, image, preprocessing=GREY)
        assert list(alone.probabilities.values()) == pytest.approx(
            list(answer.probabilities.values()), abs=1e-6
        )


def test_the_model_is_left_as_it_was():
    model = small().train()
    model[1].eval()  # frozen on purpose
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    first, second = (predict(model, page(), preprocessing=GREY) for _ in range(2))
    assert first.probabilities == second.probabilities, "dropout was on"
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(CnnzooError):
        predict(model, page(), preprocessing=GREY, classes=["a"])
    assert [module.training for module in model.modules()] == modes, "after an error too"


def test_the_dtype_of_the_model_is_followed():
    answer = predict(small().double(), page(), preprocessing=GREY)
    assert answer.probabilities == pytest.approx(
        predict(small(), page(), preprocessing=GREY).probabilities, abs=1e-5
    )


def test_a_run_folder_a_file_a_loaded_model_and_a_trained_module_agree(tmp_path):
    model = cnnzoo.build("mnist_cnn").eval()
    save_model(tmp_path / "model.safetensors", model, classes=CLASSES, preprocessing=GREY)
    model.classes, model.preprocessing = CLASSES, GREY  # as the trainer leaves it
    path = tmp_path / "model.safetensors"
    answers = [
        predict(source, page())
        for source in (tmp_path, str(tmp_path), path, load_model(path), model)
    ]
    assert all(answer.probabilities == answers[0].probabilities for answer in answers)
    assert answers[0].label in CLASSES


def test_warnings_are_of_the_picture_as_it_came_and_fixed_says_what_was_done():
    model = small()
    clean, bad = predict_many(model, [page(), 255 - page()], preprocessing=GREY)
    repaired = predict(model, 255 - page(), preprocessing=GREY, autofix=True)
    assert (clean.warnings, clean.fixed, bad.fixed) == ((), (), ())
    assert [w.name for w in bad.warnings] == [w.name for w in repaired.warnings] == ["inverted"]
    assert repaired.fixed == ("inverted",)
    assert repaired.probabilities == pytest.approx(clean.probabilities, abs=1e-6)
    assert "repaired" in str(repaired)
    assert "repaired" not in str(bad)
    assert str(clean) == f"{clean.label} ({clean.probability:.1%})"
    json.dumps([vars(w) for w in bad.warnings])


@given(st.integers(1, 12))
@settings(max_examples=5, deadline=None)
def test_top_is_sorted(count):
    answer = predict(small(), page(), preprocessing=GREY, classes=CLASSES)
    top = answer.top(count)
    assert len(top) == min(count, 10)
    assert top[0] == (answer.label, answer.probability)
    assert [p for _, p in top] == sorted(answer.probabilities.values(), reverse=True)[:count]


class Strange(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: predict(small(), page()), "preprocessing="),
        (lambda: predict(3, page()), "int 3"),
        (lambda: predict("nowhere", page()), "nowhere"),
        (lambda: predict(small(), page(), preprocessing=GREY, classes=["a", "b"]), r"\(1, 2\)"),
        (lambda: predict(small(2), page(), preprocessing=GREY, classes=["a", "a"]), "must differ"),
        (lambda: predict(small(), np.zeros((2, 1, 28, 28), np.uint8), preprocessing=GREY), "batch"),
        (lambda: predict(Strange(lambda x: x), page(), preprocessing=GREY), "one logit a class"),
        (
            lambda: predict(Strange(lambda x: x[:, 0, 0] / 0), page(), preprocessing=GREY),
            "diverged",
        ),
        (lambda: predict_many(small(), "one.png", preprocessing=GREY), "use predict"),
        (lambda: predict_many(small(), Image.new("L", (9, 9)), preprocessing=GREY), "use predict"),
        (lambda: predict_many(small(), page(), preprocessing=GREY), "use predict"),
        (lambda: predict_many(small(), page()[None], preprocessing=GREY), "one image"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(call, says):
    with pytest.raises(CnnzooError, match=says):
        call()


@pytest.fixture(scope="module")
def trained(real_data):
    """Train the tutorial's network for two epochs on 3,000 digits: about 92 % right."""
    digits = MNIST(real_data, train=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels = GREY(digits.data[:3000, None]), digits.targets[:3000]
    model = cnnzoo.build("mnist_cnn")
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    for _ in range(2):
        for batch in torch.randperm(3000).split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    yield model
    torch.set_num_threads(threads)


def test_autofix_brings_real_digits_back(trained, real_data):
    digits = MNIST(real_data, train=False)
    images, labels = digits.data.numpy()[:150], digits.targets.numpy()[:150]

    def right(change, autofix):
        changed = [change(image) for image in images]
        found = predict_many(trained, changed, preprocessing=GREY, autofix=autofix)
        return np.mean([each.index == label for each, label in zip(found, labels, strict=True)])

    def shifted(image):
        moved = np.zeros_like(image)
        moved[4:, 4:] = image[:-4, :-4]
        return moved

    def half(image):
        corner = np.zeros_like(image)
        corner[:14, :14] = np.asarray(Image.fromarray(image).resize((14, 14), 3))
        return corner

    clean = right(lambda image: image, False)
    assert clean > 0.88
    assert right(lambda image: image, True) >= clean - 0.003
    for name, change, broken in (
        ("shifted by 4", shifted, 0.5),
        ("inverted", lambda image: 255 - image, 0.5),
        ("half in a corner", half, 0.5),
        ("grey paper", lambda image: 170 - (image * 0.27).astype(np.uint8), 0.5),
    ):
        assert right(change, False) < broken, name
        assert right(change, True) > clean - 0.04, name
