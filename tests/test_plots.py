"""Figures hold what they claim to show; files are whole or not there; nothing global changes."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnzoo import plots
from cnnzoo.errors import CnnzooError

CLASSES = ["cat", "dog", "a class with a very long name", "$1"]


def images(count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, channels, 9, 7), np.uint8)


def row(epoch: int, test: bool = True) -> SimpleNamespace:
    return SimpleNamespace(
        epoch=epoch,
        train_loss=1 / epoch,
        train_accuracy=1 - 0.1 / epoch,
        test_loss=2 / epoch if test else None,
        test_accuracy=1 - 0.2 / epoch if test else None,
    )


def draw(figure) -> np.ndarray:
    figure.canvas.draw()  # layout errors and bad text show up only here
    return np.asarray(figure.canvas.buffer_rgba())


def shown(figure) -> list[np.ndarray]:
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_samples_show_images_with_their_own_labels(channels, as_tensor):
    pictures, labels = images(30, channels), np.arange(30) % 4
    given = [torch.from_numpy(x) for x in (pictures, labels)] if as_tensor else [pictures, labels]
    figure = plots.samples(*given, [f"class {i}" for i in range(4)], count=9)
    draw(figure)
    by_pixels = {x.tobytes(): int(y) for x, y in zip(pictures, labels, strict=True)}
    assert len(figure.axes) == 9
    for ax, pixels in zip(figure.axes, shown(figure), strict=True):
        original = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
        assert ax.get_title() == f"class {by_pixels[np.ascontiguousarray(original).tobytes()]}"


def test_samples_follow_the_seed():
    pictures, labels = images(50), np.zeros(50, int)
    first, same, other = (
        shown(plots.samples(pictures, labels, count=5, seed=seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert len(shown(plots.samples(pictures[:2], labels[:2]))) == 2


@pytest.mark.parametrize("epochs", [1, 2, 40])
@pytest.mark.parametrize("test", [True, False])
def test_curves_draw_every_epoch_and_stay_inside(epochs, test):
    figure = plots.curves([row(epoch, test) for epoch in range(1, epochs + 1)])
    draw(figure)
    loss, accuracy = figure.axes
    for ax, name in ((loss, "loss"), (accuracy, "accuracy")):
        assert len(ax.lines) == 1 + test
        for line, split in zip(ax.lines, ("train", "test"), strict=False):
            wanted = [getattr(row(i), f"{split}_{name}") for i in range(1, epochs + 1)]
            assert line.get_ydata() == pytest.approx(wanted)
            low, high = ax.get_ylim()
            assert low <= min(wanted)
            assert max(wanted) < high
        assert all(tick == int(tick) for tick in ax.get_xticks())
    assert accuracy.get_ylim()[1] <= 1.005


def test_curves_with_a_perfect_and_a_diverged_run():
    perfect = [SimpleNamespace(**{**vars(row(i)), "train_accuracy": 1.0}) for i in (1, 2)]
    lost = [SimpleNamespace(**{**vars(row(i)), "train_loss": float("nan")}) for i in (1, 2)]
    for rows in (perfect, lost):
        draw(plots.curves(rows))


@pytest.mark.parametrize("k", [1, 2, 10, 26, 100])
def test_confusion_rows_are_true_classes(k):
    matrix = np.random.default_rng(k).integers(0, 5, (k, k)) + 50 * np.eye(k, dtype=int)
    figure = plots.confusion(torch.from_numpy(matrix), [f"class {i}" for i in range(k)])
    draw(figure)
    ax = figure.axes[0]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true", "predicted")
    assert shown(figure)[0] == pytest.approx(matrix / matrix.sum(1, keepdims=True))
    texts = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}
    wanted = {(r, c): str(matrix[r, c]) for r, c in np.argwhere(matrix)} if k <= 25 else {}
    assert texts == wanted
    labels = [t for t in ax.get_yticklabels() if t.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    assert all(a.y0 >= b.y1 - 1 for a, b in itertools.pairwise(boxes)), "labels overlap"


def test_confusion_of_a_class_that_never_occurs():
    figure = plots.confusion([[3, 1], [0, 0]])
    assert np.array_equal(shown(figure)[0], [[0.75, 0.25], [0, 0]])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 3)] * 2, st.floats(0, 1)), min_size=1, max_size=20))
def test_mistakes_are_the_most_confident_wrong_ones(rows):
    labels, predictions, sure = (np.array(column) for column in zip(*rows, strict=True))
    pictures = np.arange(len(rows), dtype=np.uint8)[:, None, None, None] + np.zeros(
        (1, 1, 4, 4), np.uint8
    )
    figure = plots.mistakes(pictures, labels, predictions, sure, CLASSES, count=5)
    wrong = [i for i in range(len(rows)) if labels[i] != predictions[i]]
    drawn = [int(pixels[0, 0]) for pixels in shown(figure)]
    assert len(drawn) == min(5, len(wrong))
    assert set(drawn) <= set(wrong)
    assert [sure[i] for i in drawn] == sorted((sure[i] for i in wrong), reverse=True)[:5]


def test_mistakes_titles_and_none_at_all():
    full = np.array([[0.1, 0.9], [0.99997, 0.00003], [0.2, 0.8]])
    figure = plots.mistakes(images(3), [0, 1, 1], full.argmax(1), full, ["cat", "$1"])
    assert [ax.get_title() for ax in figure.axes] == ["\\$1 → cat\n> 99.9%", "cat → \\$1\n90.0%"]
    draw(figure)
    none = plots.mistakes(images(3), [0, 1, 2], [0, 1, 2], np.ones(3), CLASSES)
    assert "No mistakes" in none.texts[0].get_text()
    draw(none)


def test_filters_are_on_one_scale_around_zero():
    weight = torch.randn(5, 1, 3, 3, requires_grad=True)
    figure = plots.filters(weight)
    draw(figure)
    assert np.array_equal(shown(figure)[:5], weight.detach().numpy()[:, 0])
    limits = {ax.images[0].get_clim() for ax in figure.axes[:5]}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == -high == pytest.approx(-float(weight.detach().abs().max()))
    rows = plots.filters(np.random.default_rng(0).normal(size=(6, 20, 5, 5)), channels=4)
    assert len(rows.axes) == 6 * 4 + 1
    draw(plots.filters(np.zeros((1, 1, 1, 1))))


def test_feature_maps_are_on_one_scale():
    maps = np.random.default_rng(0).random((70, 6, 5))
    figure = plots.feature_maps(maps, count=10)
    draw(figure)
    assert np.array_equal(shown(figure)[:10], maps[:10])
    assert {ax.images[0].get_clim() for ax in figure.axes[:10]} == {(0.0, maps[:10].max())}
    draw(plots.feature_maps(np.zeros((1, 2, 2))))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plots.samples(images(0), []), "nothing to show"),
        (lambda: plots.samples(images(3), [1, 2]), "3 images but 2 labels"),
        (lambda: plots.samples(images(3)[:, 0], [1, 2, 3]), r"\(N, C, H, W\)"),
        (lambda: plots.samples(images(3) / 255, [1, 2, 3]), "uint8"),
        (lambda: plots.samples(images(3), [1, 2, 3], count=0), "at least 1"),
        (lambda: plots.samples(images(3), ["a", "b", "c"]), "numbers"),
        (lambda: plots.curves([]), "at least one epoch"),
        (lambda: plots.confusion(np.ones((2, 3))), r"\(2, 3\)"),
        (lambda: plots.confusion(np.eye(3), ["a"]), "3 class names"),
        (lambda: plots.filters(np.ones((3, 3))), r"\(K, C, R, S\)"),
        (lambda: plots.feature_maps(np.ones((1, 2, 3, 3))), r"\(K, H, W\)"),
    ],
)
def test_wrong_input_is_said_in_a_sentence(call, says):
    with pytest.raises(CnnzooError, match=says):
        call()


def test_save_writes_a_readable_picture_and_nothing_else(tmp_path):
    figure = plots.curves([row(1)])
    for _ in range(2):  # the second time over the first
        plots.save(figure, tmp_path / "curves.png")
    assert [each.name for each in tmp_path.iterdir()] == ["curves.png"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1350, 540)
        assert np.asarray(picture.convert("L")).std() > 5


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    figure = plots.curves([row(1)])
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")

    def fail(file, **_):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(CnnzooError, match="No space left"):
        plots.save(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["missing/curves.png", "curves.xyz", "curves"])
def test_save_says_where_it_cannot(tmp_path, name):
    with pytest.raises(CnnzooError, match="curves"):
        plots.save(plots.curves([row(1)]), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_pyplot_no_backend():
    code = (
        "import sys, matplotlib\n"
        # looking at "backend" itself would choose one
        "settings = lambda: {k: v for k, v in dict.items(matplotlib.rcParams)}\n"
        "before = settings()\n"
        "from cnnzoo import plots; plots.confusion([[1]]).canvas.draw()\n"
        "assert before == settings()\n"
        "assert not {'matplotlib.pyplot', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
