"""What an augmentation is: a pure function of images and uniform numbers.

There is no random generator inside. Row i of the result depends on row i of the images and row i
of the numbers alone, to the bit, whatever else is in the batch: a run on two processes changes
each image exactly as a run on one does. Members therefore compute with element-wise operations,
gathers and ``grid_sample``; a batched matrix product or a library's mean may add in another order
when N changes.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError


class Augmentation(ABC):
    """Changes images; a subclass writes `apply`.

    Attributes:
        draws: D, how many uniform numbers an image needs.
    """

    draws: int

    def __call__(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Return changed images.

        Args:
            images: (N, C, H, W), floating point, on any device, in any memory format; left alone.
            numbers: float32 (N, D), at least 0 and below 1, from `draw`.

        Returns:
            (N, C, H, W) in the dtype, device and memory format of ``images``.

        Raises:
            CnnzooError: other shapes or dtypes, or images too small for the parameter.
        """
        if images.dim() != 4 or not images.is_floating_point():
            raise CnnzooError(
                "Images to augment are (N, C, H, W), floating point (preprocessed); "
                f"got {tuple(images.shape)} {images.dtype}."
            )
        if numbers.shape != (len(images), self.draws) or numbers.dtype != torch.float32:
            raise CnnzooError(
                f'"{self}" needs float32 numbers ({len(images)}, {self.draws}), a row an image; '
                f"got {tuple(numbers.shape)} {numbers.dtype}. `draw` makes them."
            )
        changed = self.apply(images, numbers.to(images.device))
        last = images.is_contiguous(memory_format=torch.channels_last)
        if last and not images.is_contiguous():
            return changed.contiguous(memory_format=torch.channels_last)
        return changed

    @abstractmethod
    def apply(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Return changed images; the arguments have been checked and are on one device."""

    def __repr__(self) -> str:
        return f"<augmentation {self}>"


@dataclass(frozen=True)
class Parameter:
    """The one number that an augmentation takes.

    Attributes:
        what: what it is, as in "takes … from 0 to 180".
        default: its value where none is given.
        least: smallest legal value.
        most: largest legal value.
        whole: whether it must be a whole number.
    """

    what: str
    default: float
    least: float
    most: float
    whole: bool = False


class Named(Augmentation):
    """An augmentation that `make_augmentation` finds by the name of its file.

    Args:
        amount: its parameter; by default ``parameter.default``.

    Raises:
        CnnzooError: ``amount`` is out of range.
    """

    parameter: ClassVar[Parameter]

    def __init__(self, amount: float | None = None) -> None:
        legal = self.parameter
        amount = legal.default if amount is None else amount
        if not legal.least <= amount <= legal.most or (legal.whole and amount != int(amount)):
            raise CnnzooError(self.bad(f"{amount:g}"))
        self.amount = int(amount) if legal.whole else float(amount)

    @classmethod
    def summary(cls) -> str:
        """Return what it does, in one line."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]

    @classmethod
    def bad(cls, given: str) -> str:
        """Return the sentence for a value that is not legal."""
        legal, name = cls.parameter, cls.__name__.lower()
        return (
            f'"{name}" takes {legal.what} from {legal.least:g} to {legal.most:g}, '
            f'for example "{name}={legal.default:g}"; got "{given}".'
        )

    def __str__(self) -> str:
        number = int(self.amount) if self.amount == int(self.amount) else self.amount
        return f"{type(self).__name__.lower()}={number}"


def either_way(numbers: Tensor) -> Tensor:
    """Spread [0, 1) over [-1, 1); 0.5 becomes exactly 0."""
    return 2 * numbers - 1


def whole_numbers(numbers: Tensor, count: int) -> Tensor:
    """Spread [0, 1) evenly over the int64 numbers 0 … count - 1.

    The largest float32 below 1, times ``count``, never rounds up to ``count``.
    """
    return (numbers * count).long()
