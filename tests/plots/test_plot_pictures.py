"""Samples and mistakes show the images they name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawing import CLASSES, draw, images, shown
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnzoo import plots


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


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_title_is_not_cut_off(count):
    images = np.zeros((count, 1, 8, 8), np.uint8)
    figure = plots.mistakes(images, [0] * count, [1] * count, [0.5] * count)
    figure.canvas.draw()
    title = figure._suptitle.get_window_extent()
    assert title.x0 >= 0
    assert title.x1 <= figure.bbox.width
