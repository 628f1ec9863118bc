"""Draws the ten pictures beside this file: one digit each, each in another way.

    python tests/drawings/draw.py

Strokes are lines and curves of our own, drawn large and scaled down as a scanner or a screen would.
`PICTURES` says what each picture is, and which warnings it must get from a model that was trained
on MNIST.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).parent
FINE = 4  # drawn so many times larger, for soft edges
Point = tuple[float, float]

# Each digit as strokes through points (x, y) of a square, 0-1, y downwards; "~" bends the stroke.
DIGITS: dict[int, list[tuple[str, list[Point]]]] = {
    0: [("~", [(0.52, 0.05), (0.27, 0.2), (0.22, 0.55), (0.36, 0.9), (0.62, 0.92), (0.78, 0.6),
               (0.74, 0.22), (0.52, 0.05)])],
    1: [("-", [(0.36, 0.24), (0.56, 0.06), (0.52, 0.95)])],
    2: [("~", [(0.22, 0.27), (0.38, 0.07), (0.68, 0.1), (0.73, 0.34), (0.5, 0.63), (0.2, 0.93)]),
        ("~", [(0.2, 0.93), (0.5, 0.9), (0.82, 0.92)])],
    3: [("~", [(0.25, 0.14), (0.52, 0.05), (0.73, 0.22), (0.62, 0.41), (0.42, 0.47)]),
        ("~", [(0.42, 0.47), (0.7, 0.55), (0.76, 0.77), (0.52, 0.95), (0.22, 0.86)])],
    4: [("-", [(0.55, 0.05), (0.2, 0.6), (0.84, 0.58)]), ("-", [(0.68, 0.32), (0.62, 0.97)])],
    5: [("-", [(0.76, 0.07), (0.34, 0.09), (0.29, 0.45)]),
        ("~", [(0.29, 0.45), (0.54, 0.39), (0.77, 0.56), (0.71, 0.84), (0.46, 0.95), (0.2, 0.86)])],
    6: [("~", [(0.66, 0.05), (0.4, 0.25), (0.25, 0.6), (0.34, 0.88), (0.58, 0.94), (0.74, 0.74),
               (0.62, 0.54), (0.4, 0.58), (0.28, 0.73)])],
    7: [("-", [(0.2, 0.11), (0.78, 0.08)]),
        ("~", [(0.78, 0.08), (0.62, 0.4), (0.48, 0.68), (0.42, 0.96)])],
    8: [("~", [(0.5, 0.47), (0.3, 0.3), (0.4, 0.08), (0.64, 0.09), (0.7, 0.29), (0.5, 0.47),
               (0.3, 0.7), (0.38, 0.92), (0.62, 0.94), (0.73, 0.72), (0.5, 0.47)])],
    9: [("~", [(0.72, 0.24), (0.54, 0.07), (0.32, 0.2), (0.35, 0.43), (0.57, 0.47), (0.72, 0.24)]),
        ("~", [(0.72, 0.24), (0.71, 0.6), (0.58, 0.96)])],
}  # fmt: skip


def ink(
    digit: int, size: tuple[int, int], side: float, pen: float, middle: Point | None = None
) -> np.ndarray:
    """Draw a digit; return how much ink is on each pixel: (height, width), 0-1.

    Args:
        digit: 0-9.
        size: width and height of the paper, in pixels.
        side: height of the digit, in pixels.
        pen: width of the stroke, in pixels.
        middle: of the digit, in pixels; by default that of the paper.
    """
    width, height = size
    x, y = middle or (width / 2, height / 2)
    page = Image.new("L", (width * FINE, height * FINE))
    draw, radius = ImageDraw.Draw(page), pen * FINE / 2
    for bend, points in DIGITS[digit]:
        for px, py in along(points, bend == "~"):
            cx, cy = ((x + (px - 0.5) * side) * FINE, (y + (py - 0.5) * side) * FINE)
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=255)
    return np.asarray(page.resize(size, Image.Resampling.BOX)) / 255


def along(points: list[Point], bend: bool, steps: int = 200) -> np.ndarray:
    """Walk along a stroke: (steps × pieces, 2); a bent one is a Catmull-Rom spline."""
    p = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, steps)[:, None]
    pieces = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        line = b + (c - b) * t
        curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        pieces.append(curve if bend else line)
    return np.concatenate(pieces)


def shades(ink_of: np.ndarray, ground: float, dark: float) -> np.ndarray:
    """Ink of one shade on paper of another: (H, W), 0-255."""
    return ground + (dark - ground) * ink_of


def grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def coloured() -> Image.Image:
    """Blue ink on cream paper."""
    amount = ink(6, (240, 240), 150, 14)[..., None]  # (H, W, 1)
    paper, blue = np.array([250.0, 246.0, 230.0]), np.array([25.0, 60.0, 190.0])
    return Image.fromarray((paper + (blue - paper) * amount).round().astype(np.uint8))


def low_contrast() -> Image.Image:
    """A hard pencil on grey paper that is a little rough."""
    rough = np.random.default_rng(7).normal(0, 1.5, (200, 200))
    return grey(shades(ink(7, (200, 200), 130, 12), 165, 110) + rough)


def transparent() -> Image.Image:
    """Black ink on nothing, as drawing programs save it."""
    amount = ink(8, (256, 256), 180, 18)
    page = np.zeros((256, 256, 4), np.uint8)
    page[..., 3] = (255 * amount).round()
    return Image.fromarray(page)


def photo() -> Image.Image:
    """A phone's picture of a sheet in a lamp's light: falling light, blur, noise."""
    width, height = 240, 320
    light = np.linspace(1.0, 0.68, width)[None] * np.linspace(1.0, 0.88, height)[:, None]
    amount = ink(9, (width, height), 170, 13, (125, 150))
    sharp = grey(shades(amount, 228, 50) * light)
    soft = np.asarray(sharp.filter(ImageFilter.GaussianBlur(1.2))).astype(float)  # (H, W)
    warm = soft[..., None] * np.array([1.0, 0.97, 0.9])  # (H, W, 3)
    noise = np.random.default_rng(9).normal(0, 2.0, (height, width, 1))
    return Image.fromarray((warm + noise).round().clip(0, 255).astype(np.uint8))


# Name (its first letter is the digit) → how to draw it, and the warnings it gets.
PICTURES: dict[str, tuple[Callable[[], Image.Image], set[str]]] = {
    "0-thick": (lambda: grey(shades(ink(0, (280, 280), 190, 44), 255, 0)), {"inverted"}),
    "1-thin": (
        lambda: grey(shades(ink(1, (200, 200), 140, 3, (100, 114)), 255, 0)),
        {"inverted"},
    ),
    "2-white-on-black": (lambda: grey(shades(ink(2, (280, 280), 190, 22), 0, 255)), set()),
    "3-off-centre": (
        lambda: grey(shades(ink(3, (320, 320), 200, 20, (205, 200)), 255, 0)),
        {"inverted", "off_centre"},
    ),
    "4-big": (
        lambda: grey(shades(ink(4, (600, 800), 300, 26, (300, 380)), 255, 20)),
        {"inverted", "too_small", "off_centre"},
    ),
    "5-small": (lambda: grey(shades(ink(5, (16, 16), 12, 1.6), 255, 0)), {"inverted"}),
    "6-coloured": (coloured, {"inverted", "wrong_mode", "off_centre"}),
    "7-low-contrast": (low_contrast, {"inverted", "low_contrast", "off_centre"}),
    "8-transparent": (transparent, {"inverted", "wrong_mode"}),
    "9-photo": (
        photo,
        {"inverted", "wrong_mode", "low_contrast", "too_small", "off_centre"},
    ),
}


def main() -> None:
    """Write the ten pictures."""
    for name, (make, _) in PICTURES.items():
        make().save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
