"""The model's input: a picture in its size and channels, repaired on request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnnzoo.pictures.fitting import PreprocessingLike, fit
from cnnzoo.pictures.ink import INK, Ground, Ink, centre_of_mass
from cnnzoo.pictures.looking import PictureWarning, examine
from cnnzoo.pictures.picture import Picture, Pixels

ABOUT_INK = {"inverted", "low_contrast", "too_small", "too_large", "off_centre", "aspect"}


@dataclass(frozen=True)
class Prepared:
    """A picture in a model's size: uint8 (C, H, W), what looked wrong, which of it was repaired."""

    image: Tensor
    warnings: tuple[PictureWarning, ...]
    fixed: tuple[str, ...]


def prepare(
    picture: Picture, preprocessing: PreprocessingLike, *, autofix: bool = False
) -> Prepared:
    """Bring a picture to a model's size and channels, and on request repair what looks wrong.

    Without ``autofix`` it is only resized (its proportions kept, padded with its own ground) and
    converted; a picture of the right size passes unchanged. With it, a picture that got a warning
    about its ink is inverted, stretched to full contrast, cut to its ink, scaled and centred as its
    warnings ask; one without such warnings passes as before.

    Args:
        picture: from `read_picture`.
        preprocessing: the model's; says size, channels and what the ground looks like.
        autofix: repair.

    Returns:
        The image, uint8 (C, H, W); the warnings about the picture as it came; and in ``fixed`` the
        names of those whose cause is gone.

    Raises:
        CnnzooError: the model takes other channels than a picture can have.
    """
    seen = examine(picture, preprocessing)
    ground, ink = seen.ground, seen.ink
    frame = preprocessing.height, preprocessing.width
    names = {warning.name for warning in seen.warnings}
    fixed = names & {"wrong_mode"} if autofix else set()
    pixels = seen.small
    if autofix and ground and ink and names & ABOUT_INK:
        fixed |= names & ABOUT_INK
        pixels = _repaired(seen.grey, ink, ground, frame, names)
    image = torch.from_numpy(fit(pixels, frame, preprocessing.channels))
    return Prepared(image, seen.warnings, tuple(w.name for w in seen.warnings if w.name in fixed))


def _repaired(
    grey: Pixels, ink: Ink, ground: Ground, frame: tuple[int, int], names: set[str]
) -> Pixels:
    """Return uint8 (H, W, 1), with the ink as the model knows it."""
    canvas = 1 - grey if ink.dark else grey  # light ink on a dark ground, whatever comes in
    if "low_contrast" in names:
        floor = min(4 * ink.noise, 0.5)
        canvas = ((ink.strength - floor) / (1 - floor)).clip(0, 1)
    if names & {"too_small", "too_large", "off_centre", "aspect"}:
        rescale = bool(names & {"too_small", "too_large", "aspect"})
        canvas = _reframed(canvas, ink, ground, frame, rescale=rescale)
    pixels = np.rint(canvas * 255).astype(np.uint8)
    return (255 - pixels if ground.dark_ink else pixels)[..., None]


def _reframed(
    canvas: Pixels, ink: Ink, ground: Ground, frame: tuple[int, int], *, rescale: bool
) -> Pixels:
    """Move the ink to the middle of a new frame, and scale it to the size the model knows."""
    left, top, right, bottom = ink.box
    side = max(right - left, bottom - top)
    scale = min(frame[0] / canvas.shape[0], frame[1] / canvas.shape[1])
    if rescale:
        scale = ground.fill * min(frame) / side
    margin = -(-side // 10)  # the soft edge of a stroke lies outside of the box
    left, top = max(0, left - margin), max(0, top - margin)
    cut = canvas[top : bottom + margin, left : right + margin]
    height, width = (max(1, round(length * scale)) for length in cut.shape)
    scaled = Image.fromarray(cut.astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    values = np.asarray(scaled).clip(0, 1)
    values = values / max(values.max(), 1e-6)  # thin strokes grow faint when they shrink
    y, x = height / 2, width / 2
    if ground.by_mass:
        y, x = centre_of_mass(values)
    page = np.full(frame, np.median(canvas[ink.strength <= INK]), dtype=np.float64)
    top, left = round(frame[0] / 2 - y), round(frame[1] / 2 - x)
    onto = page[max(0, top) : top + height, max(0, left) : left + width]
    onto[:] = values[max(0, -top) :, max(0, -left) :][: onto.shape[0], : onto.shape[1]]
    return page
