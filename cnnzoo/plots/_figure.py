"""A figure, its cells, what stands in them, and the way into a file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write

DPI = 150
TITLE_SIZE = 11  # points


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all: to a temporary file beside ``path``, then renamed.

    Args:
        figure: from any function of `cnnzoo.plots`.
        path: its suffix says the format: png, svg, pdf.

    Raises:
        CnnzooError: the place cannot be written or the format is unknown; an old file is intact.
    """
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise CnnzooError(
            f'"{path}" should end in one of .{", .".join(sorted(known))}, to say the format.'
        )
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=DPI)


def blank_figure(width: float, height: float) -> Figure:
    """Make an empty figure (inches) that pyplot does not know."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def grid(
    count: int, *, cell: tuple[float, float], title: str, columns: int | None = None
) -> tuple[Figure, Iterator[Axes]]:
    """Make a figure of ``count`` cells (inches), nearly square unless ``columns`` is given."""
    if not count:
        raise CnnzooError("There is nothing to show: expected at least one image, got none.")
    columns = columns or min(count, max(3, math.ceil(math.sqrt(count))))
    rows = math.ceil(count / columns)
    least = 0.09 * len(title) + 0.3  # inches that the title takes: it would be cut off
    figure = blank_figure(max(columns * cell[0], least), rows * cell[1] + 0.4)
    figure.suptitle(title, fontsize=TITLE_SIZE)
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    for ax in axes:
        ax.set_axis_off()
    return figure, iter(axes)


def class_name(classes: Sequence[str], number: int) -> str:
    """Return the class's name as matplotlib should print it: no formulas, not endlessly long."""
    name = str(classes[number]) if 0 <= number < len(classes) else str(number)
    name = name if len(name) <= 16 else name[:15] + "…"
    return name.replace("$", r"\$")
