"""Each figure of a tutorial twice: for the light page and for the dark one.

A drawn figure cannot be asked to change its style, so its colours are turned: black and white and
the greys between them change places, colours stay as they are. What stands inside a picture
(`imshow`) or on a coloured patch keeps its colour too, because its ground does.

Figures hold no words, so the same two files serve every language.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

DPI = 160  # twice as many dots as CSS pixels on a wide screen's figure of 8 inches
GROUND = 0.075  # furo's dark page
PAPER = 0.93  # white on it


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save all open figures and close them; return the reST that shows them (sphinx-gallery)."""
    shown = []
    title = Path(block_vars["src_file"]).stem.removeprefix("plot_").replace("_", " ")
    for number in plt.get_fignums():
        figure = plt.figure(number)
        light = Path(next(block_vars["image_path_iterator"]))
        dark = light.with_name(f"{light.stem}_dark{light.suffix}")
        width = round(100 * figure.get_size_inches()[0])
        save_both(figure, light, dark)
        plt.close(figure)
        inside = Path(gallery_conf["src_dir"])
        for path, mode in ((light, "light"), (dark, "dark")):
            shown.append(
                f".. image:: /{path.relative_to(inside).as_posix()}\n"
                f"   :alt: {title}, {light.stem.rpartition('_')[2].lstrip('0')}\n"
                f"   :class: sphx-glr-single-img zoo-figure only-{mode}\n"
                f"   :width: {width}px\n"
            )
    return "\n" + "\n".join(shown) + "\n" if shown else ""


def save_both(figure: Figure, light: Path, dark: Path) -> None:
    """Write a figure as it is, then turned; afterwards it is turned."""
    for axes in figure.axes:
        _show_ground(axes)
    figure.patch.set_alpha(0)
    figure.savefig(light, dpi=DPI, bbox_inches="tight")
    turn(figure)
    figure.savefig(dark, dpi=DPI, bbox_inches="tight")


def _show_ground(axes: Axes) -> None:
    """Let the page show through, so that a figure has no edge of its own."""
    if to_rgba(axes.get_facecolor())[:3] == (1.0, 1.0, 1.0):
        axes.patch.set_alpha(0)


def turn(figure: Figure) -> None:
    """Exchange dark and light in everything that is grey, pictures and what lies on them aside."""
    kept = {id(artist) for axes in figure.axes for artist in _on_a_ground(axes)}
    for artist in figure.findobj():
        if id(artist) not in kept:
            _turn_one(artist)


def _on_a_ground(axes: Axes) -> list[Artist]:
    """What was put into an axes that shows a picture, or onto a coloured patch."""
    inner: list[Artist] = [*axes.texts, *axes.lines, *axes.patches, *axes.collections]
    if axes.images or any(each.get_array() is not None for each in axes.collections):
        return [part for artist in inner for part in artist.findobj()]
    figure = axes.get_figure()
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    coloured = [patch for patch in axes.patches if _is_coloured(patch)]
    kept: list[Artist] = []
    for text in axes.texts:
        box = text.get_window_extent(renderer)
        middle = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        if any(patch.contains_point(middle) for patch in coloured):
            kept += text.findobj()
    return kept


def _is_coloured(patch: Patch) -> bool:
    red, green, blue, alpha = to_rgba(patch.get_facecolor())
    return alpha > 0.3 and max(red, green, blue) - min(red, green, blue) > 0.05


def _turn_one(artist: Artist) -> None:
    if isinstance(artist, Text | Line2D):
        artist.set_color(turned(artist.get_color()))
        if isinstance(artist, Line2D):
            artist.set_markeredgecolor(turned(artist.get_markeredgecolor()))
            artist.set_markerfacecolor(turned(artist.get_markerfacecolor()))
    elif isinstance(artist, Patch):
        artist.set_edgecolor(turned(artist.get_edgecolor()))
        artist.set_facecolor(turned(artist.get_facecolor()))
    elif isinstance(artist, Collection):
        if artist.get_array() is None:  # else its colours are data
            artist.set_facecolor([turned(each) for each in artist.get_facecolor()])
        artist.set_edgecolor([turned(each) for each in artist.get_edgecolor()])


def turned(colour: Any) -> Any:
    """Return the colour for a dark page: greys turned, others as they are.

    >>> [round(part, 2) for part in turned("black")], turned("tab:blue") == "tab:blue"
    ([0.93, 0.93, 0.93, 1.0], True)
    """
    try:
        red, green, blue, alpha = to_rgba(colour)
    except (ValueError, TypeError):  # "none", "auto": nothing to turn
        return colour
    if max(red, green, blue) - min(red, green, blue) > 0.05:
        return colour
    grey = PAPER + (GROUND - PAPER) * (red + green + blue) / 3
    return (grey, grey, grey, alpha)
