"""From stored bytes to what a network eats: the mean and standard deviation of the training set.

A `Preprocessing` is all that prediction has to know about the data a model was trained on, so it
travels with the weights. Images are stored as uint8, 0..255; statistics are in units of 0..1.

Letters: N images, C channels, H height, W width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from cnnzoo.data._checks import check_images
from cnnzoo.errors import CnnzooError

_FIELDS = {"channels": int, "height": int, "width": int, "mean": list, "std": list}


@dataclass(frozen=True)
class Preprocessing:
    """Size of the images and how their pixels are scaled: ``(images / 255 - mean) / std``.

    Args:
        channels: 1 for grey, 3 for RGB.
        height: rows of pixels.
        width: columns of pixels.
        mean: one number a channel, in units of 0..1.
        std: one positive number a channel, in units of 0..1.

    Raises:
        CnnzooError: a size below 1, or statistics that are not one finite number a channel.

    >>> preprocessing = Preprocessing(1, 2, 2, mean=(0.5,), std=(0.25,))
    >>> preprocessing(torch.tensor([[[[0, 255], [255, 0]]]], dtype=torch.uint8))
    tensor([[[[-2.,  2.],
              [ 2., -2.]]]])
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # lists are welcome, but it must stay hashable
            try:
                values = tuple(map(float, getattr(self, name)))
            except (TypeError, ValueError, OverflowError) as error:
                raise CnnzooError(f"Preprocessing: {name} must be numbers: {error}.") from None
            object.__setattr__(self, name, values)
        for side in ("channels", "height", "width"):
            if getattr(self, side) < 1:
                raise CnnzooError(
                    f"Preprocessing: {side} must be at least 1, got {getattr(self, side)}."
                )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels or not all(map(math.isfinite, values)):
                raise CnnzooError(
                    f"Preprocessing: {name} must be {self.channels} finite number(s), one a "
                    f"channel; got {values!r}."
                )
        if min(self.std) <= 0:
            raise CnnzooError(f"Preprocessing: std must be positive, got {self.std!r}.")

    def __call__(self, images: Tensor) -> Tensor:
        """Scale uint8 images (N, C, H, W) to float32 (N, C, H, W), on the device they are on.

        One image alone and the same image in a batch give the same bits.

        Raises:
            CnnzooError: not uint8, or not of this size.
        """
        expected = (self.channels, self.height, self.width)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise CnnzooError(
                f"Preprocessing takes uint8 images (N, {', '.join(map(str, expected))}); "
                f"got {images.dtype} of shape {tuple(images.shape)}."
            )
        offset = [255 * mean for mean in self.mean]
        scale = [1 / (255 * std) for std in self.std]
        both = torch.tensor([offset, scale], dtype=torch.float32, device=images.device)  # (2, C)
        offsets, scales = both.view(2, -1, 1, 1)  # each (C, 1, 1)
        return images.to(torch.float32).sub_(offsets).mul_(scales)  # (N, C, H, W)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes: numbers and lists of numbers."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Rebuild what `to_json` wrote.

        Raises:
            CnnzooError: a key is missing, unknown or of the wrong type.

        >>> written = Preprocessing(1, 28, 28, (0.1307,), (0.3081,)).to_json()
        >>> Preprocessing.from_json(written).to_json() == written
        True
        """
        if not isinstance(values, Mapping) or set(values) != set(_FIELDS):
            got = ", ".join(map(str, values)) if isinstance(values, Mapping) else repr(values)
            raise CnnzooError(f"Preprocessing is written as {', '.join(_FIELDS)}; got {got}.")
        for key, kind in _FIELDS.items():
            items = values[key] if kind is list else [values[key]]
            legal = (int, float) if kind is list else (int,)
            if type(values[key]) is not kind or not all(type(item) in legal for item in items):
                what = "a list of numbers" if kind is list else "a whole number"
                raise CnnzooError(f"Preprocessing: {key} must be {what}, got {values[key]!r}.")
        return cls(**values)

    @classmethod
    def of(cls, images: Tensor) -> Preprocessing:
        """Measure uint8 images (N, C, H, W), normally those of a training set.

        Sums are of whole numbers, so the result depends on neither order nor threads. A channel
        that is the same everywhere gets a std of 1: it becomes 0 instead of NaN.
        """
        check_images(images, "Preprocessing.of")
        means, stds = [], []
        for channel in range(images.shape[1]):
            counts = torch.bincount(images[:, channel].flatten(), minlength=256).tolist()  # (256,)
            n = sum(counts)
            total = sum(value * count for value, count in enumerate(counts))
            squares = sum(value * value * count for value, count in enumerate(counts))
            means.append(total / (255 * n))
            stds.append(math.sqrt((n * squares - total * total) / n**2) / 255 or 1.0)
        _, channels, height, width = images.shape
        return cls(channels, height, width, tuple(means), tuple(stds))
