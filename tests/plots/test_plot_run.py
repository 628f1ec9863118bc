"""Curves and the confusion matrix show every number of a run."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawing import draw, row, shown

from cnnzoo import plots


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
