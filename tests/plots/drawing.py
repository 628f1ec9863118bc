"""Things to draw, and ways to see what was drawn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

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
