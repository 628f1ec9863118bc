"""A network as a row of boxes: how its feature maps shrink and its channels grow."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from cnnzoo.errors import CnnzooError
from cnnzoo.plots._figure import TITLE_SIZE, blank_figure

Point = tuple[float, float]

_SLANT = 0.35  # of the width, how far a box's side runs to the right as it goes back
_UP = 0.5  # how far it rises on the way, of how far it runs
_MOST = 2.4  # inches, the height of the highest map
_DEEPEST = 1.1  # inches, the thickness of the box with most channels
_GAP = 0.5  # inches between boxes
_LABEL = 0.72  # inches a box's label needs at least
_BLUE, _ORANGE, _EDGE = "#56B4E9", "#E69F00", "#333333"


def architecture(steps: Sequence[tuple[str, Sequence[int]]], *, title: str = "Network") -> Figure:
    """Draw the feature maps of a network as boxes, from the input on the left to the classes.

    Height and width of the boxes are to one scale, the thickness goes with the channels; the linear
    layers at the end are bars, to a scale of their own.

    Args:
        steps: name and shape of each: (C, H, W) for maps, (features,) for a linear layer.
        title: what to call it.

    Raises:
        CnnzooError: no steps, or a shape of other than one or three sizes.

    >>> figure = architecture([("input", (1, 28, 28)), ("conv1", (32, 13, 13)), ("fc", (10,))])
    >>> [text.get_text() for text in figure.axes[0].texts][:2]
    ['input', '1 × 28 × 28']
    """
    if not steps:
        raise CnnzooError("There is nothing to show: expected at least one layer, got none.")
    for name, shape in steps:
        if len(shape) not in (1, 3) or min(shape) < 1:
            raise CnnzooError(
                f'"{name}" has the shape {tuple(shape)}; expected (C, H, W) or (features,).'
            )
    maps = [shape for _, shape in steps if len(shape) == 3]
    largest = max((max(shape[1:]) for shape in maps), default=1)
    most_channels = max((shape[0] for shape in maps), default=1)
    longest = max((shape[0] for _, shape in steps if len(shape) == 1), default=1)

    boxes: list[tuple[str, str, float, float, float, str]] = []
    for name, shape in steps:
        if len(shape) == 3:
            c, h, w = shape
            deep = max(_DEEPEST * c / most_channels, 0.03)
            boxes.append((name, f"{c} × {h} × {w}", deep, _MOST * h / largest, w / largest, _BLUE))
        else:
            high = max(_MOST * shape[0] / longest, 0.06)
            boxes.append((name, f"{shape[0]:,}", 0.1, high, 0.0, _ORANGE))

    figure = blank_figure(1, 1)
    ax = figure.add_subplot()
    # Boxes are centred on height 0; how far the highest one reaches, above as below.
    reach = max(high + _UP * _SLANT * _MOST * wide for _, _, _, high, wide, _ in boxes) / 2
    left, floor = 0.0, -reach - 0.08
    for name, size, deep, high, wide, colour in boxes:
        run = _SLANT * _MOST * wide  # how far the side goes back, to the right and up
        total = deep + run
        # Names stand below each other's boxes: a narrow box still gets room for its own.
        room = max(total, _LABEL, 0.075 * max(len(name), len(size)) + 0.05)
        start = left + (room - total) / 2
        _box(ax, start, deep, high, run, colour)
        centre = left + room / 2
        text = name.replace("$", r"\$")
        ax.text(centre, floor, text, ha="center", va="top", fontsize=9)
        ax.text(centre, floor - 0.19, size, ha="center", va="top", fontsize=8, color="#555555")
        left += room + _GAP / 2
    ax.set(xlim=(-0.1, left - _GAP / 2 + 0.1), ylim=(floor - 0.42, reach + 0.05), aspect="equal")
    ax.set_axis_off()
    width = max(left + 0.2, 0.09 * len(title) + 0.3)
    figure.set_size_inches(width, 2 * reach + 0.95)
    figure.suptitle(title, fontsize=TITLE_SIZE)
    return figure


def _box(ax: Axes, x: float, deep: float, high: float, run: float, colour: str) -> None:
    """Draw a box seen from the left front; its middle is at height 0."""
    up = _UP * run
    y = -high / 2 - up / 2
    front: list[Point] = [(x, y), (x + deep, y), (x + deep, y + high), (x, y + high)]
    faces = [(front, colour, 0.75)]
    if run:
        top = [front[3], front[2], (x + deep + run, y + high + up), (x + run, y + high + up)]
        side = [front[1], (x + deep + run, y + up), (x + deep + run, y + high + up), front[2]]
        faces += [(top, colour, 0.35), (side, colour, 0.5)]
    for corners, fill, alpha in faces:
        ax.add_patch(Polygon(corners, closed=True, facecolor="white", edgecolor="none"))
        ax.add_patch(Polygon(corners, closed=True, facecolor=fill, alpha=alpha, edgecolor="none"))
        ax.add_patch(
            Polygon(corners, closed=True, fill=False, edgecolor=_EDGE, lw=0.7, joinstyle="round")
        )
