"""One way to ask for batches, whatever was handed in.

`Trainer` asks for ``epoch(number, start)``: the batches of an epoch from position ``start`` on. The
order is a function of (seed, epoch, position, process, processes): cnnzoo's own data sets answer
themselves, a torch ``Dataset`` gets its order in `cnnzoo.train.dataset_batches`, and so does a
``DataLoader`` with one of torch's ordinary samplers. A ``DataLoader`` with a sampler of its own
keeps its order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor
from torch.utils.data import DataLoader, Subset

from cnnzoo.errors import CnnzooError
from cnnzoo.seeds import random_order
from cnnzoo.train.dataset_batches import DatasetBatches, of_loader

Batch = tuple[Tensor, Tensor]  # images (N, C, H, W) float, labels (N,) int64


@runtime_checkable
class Batches(Protocol):
    """What a trainer iterates over.

    May have ``total(position)`` too: how many samples the batch at a position has, over all
    processes. Without it, batches are taken to be of one size.
    """

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from position ``start`` on."""


def as_batches(
    data: Any, batch_size: int, *, shuffle: bool, seed: int, rank: int = 0, world: int = 1
) -> Batches:
    """Return batches over ``data``.

    Args:
        data: a cnnzoo image set, a torch ``Dataset`` of (image, label), or a ``DataLoader``.
        batch_size: images in a batch of one process; a ``DataLoader`` has its own.
        shuffle: draw the order anew every epoch; a ``DataLoader`` has its own way.
        seed: of that order.
        rank: number of this process, from 0.
        world: number of processes, each of which gets its share of every batch.

    Raises:
        CnnzooError: ``data`` is none of these, empty, or cannot be shared among processes.
    """
    share: dict[str, Any] = {"seed": seed, "rank": rank, "world": world}
    if isinstance(data, DataLoader):
        batches: Batches = of_loader(data, **share) or _OwnOrder(data, world)
    elif hasattr(data, "batches"):
        batches = data.batches(batch_size, shuffle=shuffle, **share)
    elif isinstance(data, Batches):
        if getattr(data, "world", 1) != world:
            raise CnnzooError(
                f"These batches are not shared among {world} processes: each would see every "
                "sample. Hand in the data set itself."
            )
        batches = data
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        batches = DatasetBatches(data, batch_size, shuffle=shuffle, **share)
    else:
        raise CnnzooError(
            "Data to train on is an image set of cnnzoo.load_data, a torch Dataset of "
            f"(image, label), or a DataLoader; got {type(data).__name__}."
        )
    if len(batches) == 0:
        raise CnnzooError("The data set is empty: there is no batch to take.")
    return batches


class _OwnOrder:
    """A ``DataLoader`` whose sampler was chosen with care: its order is not touched."""

    def __init__(self, loader: DataLoader[Any], world: int) -> None:
        if world > 1:
            raise CnnzooError(
                f"A DataLoader with a {type(loader.sampler).__name__} of its own cannot be shared "
                f"among {world} processes: each would see every sample. Hand in the data set "
                "itself, or a DataLoader with one of torch's ordinary samplers."
            )
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if hasattr(self._loader.sampler, "set_epoch"):
            self._loader.sampler.set_epoch(epoch)
        yield from itertools.islice(self._loader, start, None)


class Part(NamedTuple):
    """A batch as a part of a step.

    Attributes:
        images: (N, C, H, W).
        labels: (N,).
        position: of the batch in its epoch.
        total: samples of the batch in all processes.
        weight: what its mean loss counts, so that the step's gradient is the mean over all samples
            of all its batches in all processes: 1 where there is one of each.
        first: the step begins here.
        last: the step ends here.
    """

    images: Any
    labels: Any
    position: int
    total: int
    weight: float
    first: bool
    last: bool


def parts(
    batches: Batches, epoch: int, step: int, accumulate: int, world: int = 1
) -> Iterator[Part]:
    """Yield the batches of an epoch from a step on, ``accumulate`` of them a step.

    The last step takes what is left.
    """
    count, total_of = len(batches), getattr(batches, "total", None)
    start = step * accumulate
    for position, (images, labels) in enumerate(batches.epoch(epoch, start), start):
        begin = position - position % accumulate
        end = min(begin + accumulate, count)
        total = total_of(position) if total_of else len(labels) * world
        if accumulate == world == 1:
            weight = 1.0
        elif total_of:
            # Processes average their gradients, so each counts ``world`` times its share.
            weight = len(labels) * world / sum(total_of(each) for each in range(begin, end))
        else:
            weight = 1 / (end - begin)
        first, last = position == begin, position == end - 1
        yield Part(images, labels, position, total, weight, first, last)


def hold_out(data: Any, fraction: float, seed: int) -> tuple[Any, Any]:
    """Split training data at random into (the rest, a ``fraction`` to choose by).

    Raises:
        CnnzooError: a part would be empty, or the data is a ``DataLoader``, which cannot be split.
    """
    if isinstance(data, DataLoader) or not hasattr(data, "__len__"):
        raise CnnzooError(
            "hold_out splits a data set; a DataLoader cannot be split. Hand in its data set, or "
            "fit(…, validation=…) with a part you split off yourself."
        )
    held = round(len(data) * fraction)
    if not 0 < held < len(data):
        raise CnnzooError(
            f"hold_out={fraction:g} of {len(data)} images leaves {len(data) - held} to train on "
            f"and {held} to choose by; both need some."
        )
    order = random_order(len(data), seed, -1)  # no epoch has this number
    pieces = order[held:].sort().values, order[:held].sort().values
    if hasattr(data, "take"):
        return data.take(pieces[0]), data.take(pieces[1])
    return Subset(data, pieces[0].tolist()), Subset(data, pieces[1].tolist())


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
