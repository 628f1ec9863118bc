"""The inside of a network: its filters, and what its layers answer to an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnnzoo.errors import CnnzooError
from cnnzoo.plots._checks import Array, array_of, positive
from cnnzoo.plots._figure import grid


def filters(weight: Any, *, count: int = 64, channels: int = 8, title: str = "Filters") -> Figure:
    """Draw a convolution's weights: orange is positive, purple negative, white zero.

    With one input channel the filters stand in a grid; with several, a filter is a row and its
    channels are the columns.

    Args:
        weight: (K, C, R, S).
        count: how many filters at most; with several channels at most a quarter of it.
        channels: how many of the input channels at most.
        title: what to call them.

    Raises:
        CnnzooError: not four axes.

    >>> len(filters(np.ones((4, 1, 3, 3))).axes)  # four filters and the scale
    5
    """
    values = array_of(weight)
    if values.ndim != 4 or values.size == 0:
        raise CnnzooError(f"filters expected weights (K, C, R, S); got the shape {values.shape}.")
    k, c = values.shape[:2]
    columns = min(k, 8)
    if c > 1:
        columns = min(c, positive(channels))
        values = values[: max(1, positive(count) // 4), :columns]
        title += f": {len(values)} of {k} (rows), {columns} of {c} channels (columns)"
    else:
        values = values[: positive(count)]
        title += f": {len(values)} of {k}"
    tiles = values.reshape(-1, *values.shape[2:])  # (tiles, R, S)
    limit = float(np.abs(tiles).max()) or 1.0
    return _tiles(tiles, title, "PuOr_r", -limit, limit, columns)


def feature_maps(maps: Any, *, count: int = 64, title: str = "Feature maps") -> Figure:
    """Draw what the channels of a layer answer to one image, all on one scale.

    Args:
        maps: (K, H, W), the output for one image.
        count: how many at most.
        title: what to call them.

    Raises:
        CnnzooError: not three axes.

    >>> len(feature_maps(np.ones((6, 5, 5))).axes)
    7
    """
    values = array_of(maps)
    if values.ndim != 3 or values.size == 0:
        raise CnnzooError(
            f"feature_maps expected (K, H, W), the maps of one image; got the shape {values.shape}."
        )
    tiles = values[: positive(count)]
    low, high = min(0.0, float(tiles.min())), float(tiles.max())
    title += f": {len(tiles)} of {len(values)}"
    return _tiles(tiles, title, "viridis", low, high if high > low else low + 1, min(len(tiles), 8))


def _tiles(tiles: Array, title: str, cmap: str, low: float, high: float, columns: int) -> Figure:
    figure, axes = grid(len(tiles), cell=(0.75, 0.75), title=title, columns=columns)
    drawn = list(axes)
    for ax, tile in zip(drawn, tiles, strict=True):
        ax.set_axis_on()
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(color="#cccccc", linewidth=0.6)  # a white tile still has an edge
        shown = ax.imshow(tile, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    bar = figure.colorbar(shown, ax=drawn, fraction=0.04, pad=0.02, shrink=0.8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8)
    return figure
