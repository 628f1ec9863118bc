"""The numbers of a run: its learning curves, and which class it takes for which."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnnzoo.errors import CnnzooError
from cnnzoo.plots._checks import array_of
from cnnzoo.plots._figure import blank_figure, class_name

TRAIN, TEST = "#0072B2", "#D55E00"  # blue and vermilion (Okabe and Ito 2008)
VALIDATION = "#009E73"  # bluish green


class RowLike(Protocol):
    """One epoch, as `curves` reads it."""

    @property
    def epoch(self) -> int: ...
    @property
    def train_loss(self) -> float: ...
    @property
    def train_accuracy(self) -> float: ...
    @property
    def test_loss(self) -> float | None: ...
    @property
    def test_accuracy(self) -> float | None: ...


def curves(rows: Iterable[RowLike]) -> Figure:
    """Draw loss and accuracy by epoch, on the training and, where there is one, the test set.

    Args:
        rows: one an epoch, with the attributes epoch, train_loss, train_accuracy, test_loss and
            test_accuracy (the last two ``None`` without a test set), as a `History` has them;
            val_loss and val_accuracy are drawn where they are.

    Raises:
        CnnzooError: there is no row.

    >>> from types import SimpleNamespace as Row
    >>> row = Row(epoch=1, train_loss=0.5, train_accuracy=0.9, test_loss=None, test_accuracy=None)
    >>> [ax.get_title(loc="left") for ax in curves([row]).axes]
    ['Loss', 'Accuracy']
    """
    rows = list(rows)
    if not rows:
        raise CnnzooError("curves expected at least one epoch; got none. Train first.")
    figure = blank_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    for ax, what, form in ((left, "loss", ".3f"), (right, "accuracy", ".1%")):
        for split, colour, dash, marker in (
            ("train", TRAIN, (0, (4, 2)), "o"),
            ("val", VALIDATION, (0, (1, 1)), "^"),
            ("test", TEST, "solid", "s"),
        ):
            points = [(row.epoch, getattr(row, f"{split}_{what}", None)) for row in rows]
            points = [(x, y) for x, y in points if y is not None]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            size = 5 if len(x) <= 30 else 0
            text = f"{split}, {y[-1]:{form}} at the end" if math.isfinite(y[-1]) else split
            ax.plot(x, y, color=colour, ls=dash, marker=marker, ms=size, lw=1.8, label=text)
        ax.set_title(what.capitalize(), loc="left", fontsize=12)
        ax.set_xlabel("epoch")
        first, last = rows[0].epoch, rows[-1].epoch
        room = max(0.5, 0.03 * (last - first))  # one epoch alone stands in the middle
        ax.set_xlim(first - room, last + room)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#e4e4e4", lw=0.8)
        ax.set_axisbelow(True)
        ax.margins(y=0.08)
        # A single epoch's points are near the top: the legend goes below them.
        ax.legend(frameon=False, fontsize=9, loc="best" if last > first else "lower right")
    left.set_ylim(bottom=0)
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    low, high = right.get_ylim()
    high = min(high, 1.005)  # there is nothing above 100 %, but its marker is not cut
    right.set_ylim(min(low, high - 0.04), high)
    return figure


def confusion(matrix: Any, classes: Sequence[str] = ()) -> Figure:
    """Draw which class is taken for which.

    Colours are shares of a row, that is of the true class, on a square-root scale: at 99 % accuracy
    the mistakes would be invisible on a linear one. Numbers are counts, shown for up to 25 classes.

    Args:
        matrix: counts (K, K); the rows are the true classes, the columns the predicted ones.
        classes: K names; without them the numbers are shown.

    Raises:
        CnnzooError: not a square matrix of counts, or not K names.

    >>> confusion([[5, 1], [0, 6]], ["cat", "dog"]).axes[0].get_xlabel()
    'predicted'
    """
    counts = array_of(matrix)
    k = len(counts)
    if counts.ndim != 2 or counts.shape[1] != k or k == 0 or counts.min() < 0:
        raise CnnzooError(f"confusion expected counts (K, K); got the shape {counts.shape}.")
    if len(classes) not in (0, k):
        raise CnnzooError(f"confusion expected {k} class names; got {len(classes)}.")
    totals = counts.sum(1, keepdims=True)  # (K, 1)
    shares = counts / np.maximum(totals, 1)  # (K, K); a class that never occurs stays empty
    names = [class_name(classes, number) for number in range(k)]
    inches = min(max(0.5 * k + 1.6, 4.2), 10.0)
    figure = blank_figure(inches + 0.9, inches)
    ax = figure.subplots()
    shown = ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    size = float(np.clip(110 / k, 5, 12))
    if k <= 25:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > 0.3 else "black"
            text = f"{int(counts[row, column])}"
            ax.text(
                column, row, text, ha="center", va="center", color=colour, fontsize=min(size, 11)
            )
        ax.set_xticks(np.arange(k - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(k - 1) + 0.5, minor=True)
        ax.grid(which="minor", color="#e4e4e4", lw=0.6)
    step = math.ceil(k / 50)
    upright = max(map(len, names)) * k < 45  # characters that fit side by side
    ticks = range(0, k, step)
    ax.set_xticks(ticks, names[::step], rotation=0 if upright else 90, fontsize=size)
    ax.set_yticks(ticks, names[::step], fontsize=size)
    ax.tick_params(which="both", length=0)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    right = float(np.trace(counts)) / max(float(counts.sum()), 1)
    ax.set_title(f"{right:.1%} of {int(counts.sum()):,} right", loc="left", fontsize=12)
    bar = figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.03, ticks=[0, 0.01, 0.1, 0.5, 1])
    bar.ax.set_yticklabels(["0", "1%", "10%", "50%", "100%"], fontsize=8)
    bar.set_label("share of the true class", fontsize=9)
    bar.outline.set_visible(False)
    return figure
