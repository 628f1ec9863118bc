"""Images of a data set: samples, and the mistakes that were made on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnzoo.plots._checks import (
    Array,
    array_of,
    images_of,
    positive,
    same_length,
    whole_numbers,
)
from cnnzoo.plots._figure import blank_figure, class_name, grid


def samples(
    images: Any, labels: Any, classes: Sequence[str] = (), *, count: int = 25, seed: int = 0
) -> Figure:
    """Draw randomly picked images with their labels.

    Args:
        images: uint8 (N, C, H, W), C = 1 (grey) or 3 (RGB); an array or a tensor.
        labels: whole numbers (N,).
        classes: names of the classes; without them the numbers are shown.
        count: how many; fewer when there are not that many.
        seed: which ones; equal seeds pick equal images.

    Raises:
        CnnzooError: shapes that do not fit, or nothing to show.

    >>> rng = np.random.default_rng(0)
    >>> figure = samples(rng.integers(0, 256, (40, 1, 8, 8), np.uint8), np.arange(40) % 2)
    >>> len(figure.axes)
    25
    """
    pictures, numbers = images_of(images), whole_numbers(labels, "labels")
    same_length(pictures, labels=numbers)
    chosen = np.random.default_rng(seed).permutation(len(pictures))[: positive(count)]
    figure, axes = grid(len(chosen), cell=(1.0, 1.15), title="Randomly picked samples")
    for ax, index in zip(axes, chosen, strict=True):
        _show(ax, pictures[index])
        ax.set_title(class_name(classes, numbers[index]), fontsize=9, pad=3)
    return figure


def mistakes(
    images: Any,
    labels: Any,
    predictions: Any,
    probabilities: Any,
    classes: Sequence[str] = (),
    *,
    count: int = 25,
) -> Figure:
    """Draw the worst mistakes: wrong, and most sure of it.

    Args:
        images: uint8 (N, C, H, W).
        labels: true classes (N,).
        predictions: predicted classes (N,).
        probabilities: of the predicted class (N,), or of every class (N, K); 0-1.
        classes: names of the classes; without them the numbers are shown.
        count: how many at most.

    Raises:
        CnnzooError: shapes that do not fit.

    >>> page = np.zeros((2, 1, 8, 8), np.uint8)
    >>> figure = mistakes(page, [0, 1], [0, 0], [0.9, 0.6], ["cat", "dog"])
    >>> figure.axes[0].get_title().splitlines()
    ['dog → cat', '60.0%']
    """
    pictures, truth = images_of(images), whole_numbers(labels, "labels")
    answers, sure = whole_numbers(predictions, "predictions"), array_of(probabilities)
    same_length(pictures, labels=truth, predictions=answers, probabilities=sure)
    if sure.ndim == 2:
        sure = sure[np.arange(len(sure)), answers]  # (N,)
    wrong = np.flatnonzero(truth != answers)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][: positive(count)]
    if not len(worst):
        figure = blank_figure(5, 1.6)
        figure.text(0.5, 0.5, f"No mistakes in {len(truth):,} images", ha="center", va="center")
        return figure
    longest = max(len(class_name(classes, number)) for number in {*truth[worst], *answers[worst]})
    wide = float(np.clip(0.17 * longest, 1.1, 2.0))
    which = "All" if len(worst) == len(wrong) else "The worst of"
    title = f"{which} {len(wrong):,} mistakes in {len(truth):,}: true → predicted"
    figure, axes = grid(len(worst), cell=(wide, 1.4), title=title)
    for ax, index in zip(axes, worst, strict=True):
        _show(ax, pictures[index])
        pair = f"{class_name(classes, truth[index])} → {class_name(classes, answers[index])}"
        ax.set_title(f"{pair}\n{_percent(float(sure[index]))}", fontsize=8, pad=3)
    return figure


def _show(ax: Axes, image: Array) -> None:
    """Draw uint8 (C, H, W)."""
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)  # (H, W) or (H, W, 3)
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def _percent(probability: float) -> str:
    """Never round a doubt away: 0.99996 is not 100 %."""
    return "> 99.9%" if 0.9995 <= probability < 1 else f"{probability:.1%}"
