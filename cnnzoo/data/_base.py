"""The contract of a data set: pictures of one size in memory, their labels, what to call them.

Images stay uint8 (N, C, H, W), a quarter of what floats take, and become float32 when a batch is
used. Everything is checked once, in the constructor.

Letters: N images, B images in a batch, C channels, H height, W width.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cnnzoo.data._checks import as_tensor, check_images, check_set
from cnnzoo.data._loader import BatchLoader
from cnnzoo.data._preprocessing import Preprocessing
from cnnzoo.errors import CnnzooError


class ImageSet(Dataset[tuple[Tensor, int]]):
    """Labelled images in memory; an ordinary torch data set with a fast way to batches.

    ``image_set[i]`` is one preprocessed float32 image (C, H, W) with its label, so that
    ``DataLoader(image_set)`` gives exactly what ``image_set.batches(…)`` gives; a slice is a
    smaller `ImageSet`. `from_tensors` is the convenient way in for arrays of one's own.

    Args:
        images: uint8 (N, C, H, W), 0..255, at least one.
        labels: int64 (N,), each an index into ``classes``.
        classes: names, in the order of the labels.
        preprocessing: sizes and statistics, those of the training set.
        name: what to call the data in messages and titles.
        split: which part this is, such as ``"train"``.

    Raises:
        CnnzooError: dtype, rank, length, size or label is wrong; the sentence says which and where.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        classes: Sequence[str],
        preprocessing: Preprocessing,
        *,
        name: str = "images",
        split: str = "all",
    ) -> None:
        check_set(images, labels, classes, preprocessing, f"{name} ({split})")
        self.images = images
        self.labels = labels
        self.classes = tuple(classes)
        self.preprocessing = preprocessing
        self.name = name
        self.split = split

    @classmethod
    def from_tensors(
        cls,
        images: Any,
        labels: Any,
        classes: Sequence[str] | None = None,
        *,
        preprocessing: Preprocessing | None = None,
        name: str = "images",
        split: str = "all",
    ) -> ImageSet:
        """Copy arrays or tensors into an `ImageSet`.

        Args:
            images: uint8 (N, C, H, W), or (N, H, W) for grey.
            labels: whole numbers (N,).
            classes: names; by default ``"0"`` up to the largest label.
            preprocessing: by default measured on these images. For a test set, pass that of the
                training set.
            name: what to call the data.
            split: which part this is.

        Raises:
            CnnzooError: floats instead of bytes, channels last, or what the constructor refuses.

        >>> import numpy as np
        >>> ImageSet.from_tensors(np.zeros((2, 28, 28), np.uint8), [0, 1], ["ink", "paper"])
        ImageSet(images, all: 2 images 1x28x28, 2 classes ink, paper; mean 0.0000, std 1.0000)
        """
        pixels = as_tensor(images)
        if pixels.ndim == 3:
            pixels = pixels.unsqueeze(1)  # (N, H, W) -> (N, 1, H, W)
        if pixels.ndim == 4 and pixels.shape[3] in (1, 3, 4) and pixels.shape[1] > 4:
            raise CnnzooError(
                f"{name}: images of shape {tuple(pixels.shape)} look like (N, H, W, C); expected "
                "(N, C, H, W). Try images.transpose(0, 3, 1, 2)."
            )
        numbers = as_tensor(labels)
        fractions = (
            numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool
        )
        if fractions and numbers.numel():  # an empty list arrives as floats
            raise CnnzooError(f"{name}: labels must be whole numbers, got {numbers.dtype}.")
        numbers = numbers.to(torch.int64)
        if classes is None:
            top = int(numbers.max()) if numbers.numel() else 0
            classes = [str(i) for i in range(top + 1)]
        if preprocessing is None:
            check_images(pixels, name)
            preprocessing = Preprocessing.of(pixels)
        return cls(pixels, numbers, classes, preprocessing, name=name, split=split)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of the training set, one number a channel, in units of 0..1."""
        return self.preprocessing.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of the training set, one number a channel, in units of 0..1."""
        return self.preprocessing.std

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> tuple[Tensor, int]: ...

    @overload
    def __getitem__(self, index: slice) -> ImageSet: ...

    def __getitem__(self, index: int | slice) -> tuple[Tensor, int] | ImageSet:
        if isinstance(index, slice):
            return self.take(index)
        i = operator.index(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"{self.name} has {len(self)} image(s); there is no image {i}.")
        i %= len(self)
        return self.preprocessing(self.images[i : i + 1])[0], int(self.labels[i])

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """Fetch a batch for torch's `DataLoader`, several times faster than one by one."""
        images = self.preprocessing(self.images[indices])  # (B, C, H, W)
        return list(zip(images, self.labels[indices].tolist(), strict=True))

    def take(self, indices: slice | Sequence[int] | Tensor) -> ImageSet:
        """Return a smaller set of these images, in this order, with the same preprocessing.

        Args:
            indices: positions (negative ones count from the end) or a slice.

        Raises:
            CnnzooError: a position outside the set, or nothing is taken.
        """
        n = len(self)
        if isinstance(indices, slice):
            positions = torch.tensor(range(n)[indices])
        else:
            positions = as_tensor(indices)
            if positions.ndim != 1 or (positions.numel() and positions.is_floating_point()):
                raise CnnzooError(f"take: expected a list of positions, got {indices!r}.")
            if positions.dtype == torch.bool:
                raise CnnzooError("take: got a mask; pass its positions, mask.nonzero().flatten().")
            positions = positions.to(torch.int64)
        outside = positions[(positions < -n) | (positions >= n)]
        if outside.numel():
            raise CnnzooError(
                f"take: {self.name} has {n} image(s); there is no image {int(outside[0])}."
            )
        if not positions.numel():
            raise CnnzooError(f"take: no image of {self.name} is left; take at least one.")
        where = (positions % n).to(self.images.device)
        return ImageSet(
            self.images[where],
            self.labels[where],
            self.classes,
            self.preprocessing,
            name=self.name,
            split=self.split,
        )

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of shape, classes, labels and pixels."""
        head = json.dumps([list(self.images.shape), self.classes])
        digest = hashlib.sha256(head.encode())
        digest.update(self.labels.cpu().numpy().astype("<i8").tobytes())
        digest.update(self.images.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def batches(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> BatchLoader:
        """Return a `BatchLoader`: float32 images (B, C, H, W) and int64 labels (B,).

        Args:
            batch_size: images a batch; the last one may be smaller.
            shuffle: a new order every epoch, a function of seed and epoch alone.
            seed: any whole number.
            drop_last: leave out a smaller last batch.
            rank: number of this process, where several share the set.
            world: number of processes.

        Raises:
            CnnzooError: as `BatchLoader`.
        """
        return BatchLoader(
            self,
            batch_size,
            shuffle=shuffle,
            seed=seed,
            drop_last=drop_last,
            rank=rank,
            world=world,
        )

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        names = (
            list(self.classes)
            if len(self.classes) <= 4
            else [*self.classes[:2], "…", self.classes[-1]]
        )
        mean, std = (", ".join(f"{v:.4f}" for v in values) for values in (self.mean, self.std))
        return (
            f"ImageSet({self.name}, {self.split}: {len(self)} images {size}, "
            f"{len(self.classes)} classes {', '.join(names)}; mean {mean}, std {std})"
        )


class DataSplits(NamedTuple):
    """A data set in its two parts; both carry the statistics of ``train``."""

    train: ImageSet
    test: ImageSet


def make_splits(
    name: str, classes: Sequence[str], train: tuple[Any, Any], test: tuple[Any, Any]
) -> DataSplits:
    """Make both parts from ``(images, labels)`` arrays, as `ImageSet.from_tensors` takes them."""
    first = ImageSet.from_tensors(*train, classes, name=name, split="train")
    second = ImageSet.from_tensors(
        *test, classes, preprocessing=first.preprocessing, name=name, split="test"
    )
    return DataSplits(first, second)
