"""What is ink and what is ground, where that can be said.

The rules about ink need a plain ground. It is read off the training statistics: a mean pixel under
0.35 in all channels alike means light ink on a dark ground (MNIST: 0.13), over 0.65 the reverse;
anything between, or a coloured mean, is a natural image, of which no such thing can be said. Ink of
less than 0.2 of the frame leaves MNIST's margin (20 of 28 pixels); more fills it. Crisp ink, mostly
full or none (its variance tells), is centred by mass as in MNIST, soft ink by its box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnzoo.pictures.fitting import PreprocessingLike
from cnnzoo.pictures.picture import Pixels

LEAST_SPAN = 0.05  # of black to white: less is a blank page
INK = 0.25  # of the strongest ink: what counts as ink
MARGIN_FILL = 20 / 28  # MNIST: the longer side of the ink, of the frame's
OFF_CENTRE = 1 / 28  # of the frame; MNIST puts the centre of mass on pixel 14, give or take 0.7
OFF_CENTRE_SOFT = 2.8 / 28  # scikit-learn's 8x8 digits lie on cells of 2.5 pixels, centred as boxes


@dataclass(frozen=True)
class Ground:
    """What the training pictures share: which side is ink, and how much of the frame it fills."""

    dark_ink: bool
    fill: float  # the longer side of the ink, of the frame's
    by_mass: bool  # the middle is the ink's centre of mass, not that of its box
    tolerance: float  # how far from the middle it may lie, of the frame

    @staticmethod
    def of(preprocessing: PreprocessingLike) -> Ground | None:
        """Read it off the mean pixel; None for natural images (see the top of this file)."""
        mean = np.asarray(preprocessing.mean, dtype=np.float64).reshape(-1)
        if np.ptp(mean) > 0.01 or 0.35 <= mean.mean() <= 0.65:
            return None
        dark_ink = bool(mean.mean() > 0.5)
        share = float(1 - mean.mean() if dark_ink else mean.mean())
        if share >= 0.2:
            return Ground(dark_ink, 1.0, by_mass=False, tolerance=0.15)
        variance = float(np.asarray(preprocessing.std, dtype=np.float64).mean()) ** 2
        crisp = variance > 0.72 * share * (1 - share)  # 1 if every pixel were ground or full ink
        tolerance = OFF_CENTRE if crisp else OFF_CENTRE_SOFT
        return Ground(dark_ink, MARGIN_FILL, by_mass=crisp, tolerance=tolerance)

    @property
    def margin(self) -> bool:
        """Whether the ink stays away from the border."""
        return self.fill < 1


@dataclass(frozen=True)
class Ink:
    """The ink of a picture; ``strength`` (H, W) is 0 on the ground and 1 where it is strongest."""

    strength: Pixels
    dark: bool
    span: float  # ink to ground, of black to white
    ground: float  # from black under light ink, from white under dark ink
    noise: float
    box: tuple[int, int, int, int]  # left, top, right, bottom
    side: float  # of the longer side of the box, in the model's frame
    mass_off: float  # distance of the centre of mass from the middle, in the model's frame
    box_off: float  # the same for the box


def measure(grey: Pixels, ground: Ground, frame: tuple[int, int]) -> Ink | None:
    """Find the ink of a grey picture (H, W) in 0-1, as it will lie in a frame (height, width).

    Returns None for a blank page.
    """
    height, width = grey.shape
    level, noise = _ground_level(grey, ground)
    away = grey - level
    dark = bool(-away.min() > away.max())
    away = -away if dark else away
    span = float(away.max())
    noise = min(noise, 0.06)  # more is ink on the border, not noise
    if span < LEAST_SPAN + 5 * noise:
        return None
    strength = away.clip(0, None) / span
    mask = strength > max(INK, 5 * noise / span)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    scale = min(frame[0] / height, frame[1] / width)  # picture's pixels -> the frame's
    y, x = centre_of_mass(strength * mask)
    down, right = ((y + 0.5 - height / 2) * scale - 0.5, (x + 0.5 - width / 2) * scale - 0.5)
    scale /= max(frame)
    return Ink(
        strength,
        dark,
        span,
        float(np.median(1 - level if dark else level)),
        noise / span,
        box,
        max(box[2] - box[0], box[3] - box[1]) * scale,
        float(np.hypot(down, right)) / max(frame),
        float(np.hypot((box[1] + box[3] - height) / 2, (box[0] + box[2] - width) / 2)) * scale,
    )


def _ground_level(grey: Pixels, ground: Ground) -> tuple[Pixels, float]:
    """Read the ground, (H, W) or a scalar array, and its noise (one sigma) off the border."""
    height, width = grey.shape
    ring = np.zeros(grey.shape, bool)
    edge = max(1, min(height, width) // 28)
    ring[:edge], ring[-edge:], ring[:, :edge], ring[:, -edge:] = True, True, True, True
    values = grey[ring]
    if not ground.margin:  # ink at the border: only its median can be trusted
        return np.asarray(np.median(values)), 0.0
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    # Light falls off across a photo: a plane, not a number.
    plane = np.stack([np.ones_like(grey), y, x], axis=-1)  # (H, W, 3)
    points = plane[ring]
    keep = np.ones(len(values), bool)
    for _ in range(3):  # ink that touches the border must not tilt the plane
        slope = np.linalg.lstsq(points[keep], values[keep], rcond=None)[0]
        residual = np.abs(values - points @ slope)
        keep = residual <= 2.5 * np.median(residual) + 0.01
    return plane @ slope, 1.4826 * float(np.median(residual))


def centre_of_mass(weights: Pixels) -> tuple[float, float]:
    """Return the (y, x) that the weights (H, W) balance on."""
    total = weights.sum()
    y = (weights.sum(1) * np.arange(weights.shape[0])).sum() / total
    x = (weights.sum(0) * np.arange(weights.shape[1])).sum() / total
    return float(y), float(x)
