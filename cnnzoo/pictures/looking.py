"""What differs from the training pictures, each thing by name and with a sentence for a person.

The thresholds stay clear of MNIST's own test images: the ink of 99.98 % measures 18 pixels or more,
and its centre of mass lies within 0.71 pixels of pixel (14, 14).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnzoo.pictures.fitting import PreprocessingLike, grey_bytes, reduced
from cnnzoo.pictures.ink import LEAST_SPAN, Ground, Ink, measure
from cnnzoo.pictures.modes import has_colour
from cnnzoo.pictures.picture import Picture, Pixels

GOOD_SPAN, CLEAN_GROUND = 0.6, 0.15  # ink at least this far from the ground, ground this near black


@dataclass(frozen=True)
class PictureWarning:
    """Something that makes a picture unlike the training pictures.

    ``name`` is one of ``inverted``, ``off_centre``, ``too_small``, ``too_large``, ``low_contrast``,
    ``wrong_mode``, ``aspect`` and ``blank``; ``message`` is a sentence for a person.
    """

    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


@dataclass(frozen=True)
class Findings:
    """A picture at its working size and what was seen in it: what a repair starts from."""

    small: Pixels  # uint8 (H, W, C)
    grey: Pixels  # (H, W), 0-1
    ground: Ground | None  # None: a natural image, or
    ink: Ink | None  # a blank page
    warnings: tuple[PictureWarning, ...]


def look(picture: Picture, preprocessing: PreprocessingLike) -> tuple[PictureWarning, ...]:
    """Name everything that makes a picture unlike the training pictures.

    >>> from cnnzoo.data import Preprocessing
    >>> from cnnzoo.pictures import read_picture
    >>> mnist = Preprocessing(1, 28, 28, mean=(0.1307,), std=(0.3081,))
    >>> page = np.full((280, 280), 255, np.uint8)
    >>> page[40:240, 130:150] = 0
    >>> [warning.name for warning in look(read_picture(page), mnist)]
    ['inverted']
    """
    return examine(picture, preprocessing).warnings


def examine(picture: Picture, preprocessing: PreprocessingLike) -> Findings:
    """Look at a picture, and keep what was measured."""
    frame = preprocessing.height, preprocessing.width
    ground = Ground.of(preprocessing)
    small = reduced(picture.pixels, frame)
    grey = grey_bytes(small) / 255.0
    ink = measure(grey, ground, frame) if ground else None
    found = _warnings(picture, preprocessing, grey, ground, ink)
    return Findings(small, grey, ground, ink, found)


def _warnings(
    picture: Picture,
    preprocessing: PreprocessingLike,
    grey: Pixels,
    ground: Ground | None,
    ink: Ink | None,
) -> tuple[PictureWarning, ...]:
    height, width, channels = picture.pixels.shape
    frame = preprocessing.height, preprocessing.width
    found: dict[str, str] = {}
    if channels != preprocessing.channels:
        given, wanted = ("RGB", "grey") if channels == 3 else ("grey", "RGB")
        loss = " its colours are lost" if channels == 3 else " all three channels become equal"
        if channels == 3 and not has_colour(picture.pixels):
            loss = " nothing is lost, its three channels are equal"
        found["wrong_mode"] = f"the picture is {given}, the model was trained on {wanted}:{loss}"
    ratio = (width / height) / (frame[1] / frame[0])
    if not 0.5 <= ratio <= 2:
        found["aspect"] = (
            f"the picture is {width} x {height}, the model sees {frame[1]} x {frame[0]}: "
            "what is in it becomes small"
        )
    if ground is None:
        if np.ptp(np.percentile(grey, (1, 99))) < LEAST_SPAN:
            found["blank"] = "the picture has hardly any contrast: there is nothing to see in it"
        if height < frame[0] / 2 and width < frame[1] / 2:
            found["too_small"] = (
                f"the picture is {width} x {height}, less than half of the model's "
                f"{frame[1]} x {frame[0]}: details are missing"
            )
    elif ink is None:
        found["blank"] = "there is no ink to see: the picture is nearly one plain shade"
    else:
        found |= _about_ink(ink, ground, frame)
    return tuple(PictureWarning(name, message) for name, message in found.items())


def _about_ink(ink: Ink, ground: Ground, frame: tuple[int, int]) -> dict[str, str]:
    found: dict[str, str] = {}
    side = max(frame)
    names = ("dark ink on a light ground", "light ink on a dark ground")
    if ink.dark != ground.dark_ink:
        seen, wanted = names if ink.dark else names[::-1]
        found["inverted"] = f"the picture is {seen}, the model was trained on {wanted}"
    if ink.span < GOOD_SPAN or (ground.margin and ink.ground > CLEAN_GROUND):
        found["low_contrast"] = (
            f"ink and ground are {ink.span:.0%} of black to white apart and the ground is "
            f"{ink.ground:.0%} grey; the training pictures have full contrast on a plain ground"
        )
    low, high = (0.85, 1.2) if ground.margin else (0.65, np.inf)
    if not low <= ink.side / ground.fill <= high:
        found["too_small" if ink.side < ground.fill else "too_large"] = (
            f"the ink is {ink.side * side:.1f} pixels on its longer side once the picture is "
            f"{frame[1]} x {frame[0]}; the training pictures have about {ground.fill * side:.0f}"
        )
    filled = not ground.margin and ink.side > 0.75  # nowhere else to be
    off = ink.mass_off if ground.by_mass else ink.box_off
    if off > ground.tolerance and not filled:
        found["off_centre"] = (
            f"the middle of the ink is {off * side:.1f} of {side} pixels away from its place"
        )
    return found
