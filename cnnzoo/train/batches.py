"""One way to ask for batches, whatever was handed in.

`Trainer` asks for ``epoch(number, start)``: the batches of an epoch from position ``start`` on.
cnnzoo's own data sets answer themselves; a torch ``Dataset`` gets a seeded order here; a
``DataLoader`` keeps its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from cnnzoo.errors import CnnzooError
from cnnzoo.seeds import private_generator

Batch = tuple[Tensor, Tensor]  # images (N, C, H, W) float, labels (N,) int64


@runtime_checkable
class Batches(Protocol):
    """What a trainer iterates over."""

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from position ``start`` on."""


def as_batches(data: Any, batch_size: int, *, shuffle: bool, seed: int) -> Batches:
    """Return batches over ``data``.

    Args:
        data: a cnnzoo image set, a torch ``Dataset`` of (image, label), or a ``DataLoader``.
        batch_size: images in a batch; a ``DataLoader`` has its own.
        shuffle: draw the order anew every epoch; a ``DataLoader`` has its own.
        seed: of that order.

    Raises:
        CnnzooError: ``data`` is none of these, or empty.
    """
    if isinstance(data, DataLoader):
        batches: Batches = _LoaderBatches(data)
    elif hasattr(data, "batches"):
        batches = data.batches(batch_size, shuffle=shuffle, seed=seed)
    elif isinstance(data, Batches):
        batches = data
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        batches = _DatasetBatches(data, batch_size, shuffle=shuffle, seed=seed)
    else:
        raise CnnzooError(
            "Data to train on is an image set of cnnzoo.load_data, a torch Dataset of "
            f"(image, label), or a DataLoader; got {type(data).__name__}."
        )
    if len(batches) == 0:
        raise CnnzooError("The data set is empty: there is no batch to take.")
    return batches


class _DatasetBatches:
    """Any torch ``Dataset`` with a length, in an order that depends on (seed, epoch) alone."""

    def __init__(self, dataset: Any, batch_size: int, *, shuffle: bool, seed: int) -> None:
        self._dataset, self._batch_size = dataset, batch_size
        self._shuffle, self._seed = shuffle, seed

    def __len__(self) -> int:
        return -(-len(self._dataset) // self._batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        count = len(self._dataset)
        generator = private_generator(self._seed, epoch)
        order = torch.randperm(count, generator=generator) if self._shuffle else torch.arange(count)
        positions = [each.tolist() for each in order.split(self._batch_size)][start:]
        yield from DataLoader(self._dataset, batch_sampler=positions)


class _LoaderBatches:
    """A ``DataLoader`` in its own order."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if hasattr(self._loader.sampler, "set_epoch"):
            self._loader.sampler.set_epoch(epoch)
        yield from itertools.islice(self._loader, start, None)


def check_batch(images: Any, labels: Any) -> None:
    """Raise a `CnnzooError` unless this is a batch for classification."""
    if not isinstance(images, Tensor) or not isinstance(labels, Tensor):
        raise CnnzooError(
            "A batch is (images, labels), both tensors; got "
            f"({type(images).__name__}, {type(labels).__name__}). "
            "A data set of PIL images needs transform=torchvision.transforms.ToTensor()."
        )
    if labels.dim() != 1 or labels.is_floating_point() or labels.is_complex():
        raise CnnzooError(
            f"Labels are class numbers (N,), integers; got {tuple(labels.shape)} {labels.dtype}. "
            "Regression and multi-label targets are not what this trainer is for."
        )
