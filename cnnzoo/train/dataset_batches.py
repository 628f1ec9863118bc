"""Any torch ``Dataset`` in an order that depends on (seed, epoch, process) alone.

Torch's own samplers draw from a generator whose state nobody can name: a run could not be taken up
in the middle of an epoch, nor be shared without samples twice or left out. Loading stays torch's
``DataLoader``, workers included.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    get_worker_info,
)

from cnnzoo.errors import CnnzooError
from cnnzoo.seeds import private_generator, random_order, seed_of

# What a DataLoader was told that has nothing to do with the order.
_LOADING = ("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn",
            "multiprocessing_context", "prefetch_factor")  # fmt: skip


def of_loader(loader: DataLoader[Any], **share: int) -> DatasetBatches | None:
    """Return the batches of a loader with one of torch's ordinary samplers, else ``None``."""
    sampler, batch_sampler = loader.sampler, loader.batch_sampler
    if isinstance(loader.dataset, IterableDataset) or type(batch_sampler) is not BatchSampler:
        return None
    if type(sampler) is SequentialSampler:
        shuffle = False
    elif type(sampler) is RandomSampler:
        shuffle = not sampler.replacement and sampler.num_samples == len(loader.dataset)  # type: ignore[arg-type]
        if not shuffle:
            return None
    elif type(sampler) is DistributedSampler:
        shuffle = sampler.shuffle
    else:
        return None
    assert loader.batch_size is not None
    return DatasetBatches(
        loader.dataset,
        loader.batch_size,
        shuffle=shuffle,
        drop_last=loader.drop_last,
        loading={name: getattr(loader, name) for name in _LOADING},
        **share,
    )


class DatasetBatches:
    """Batches of a ``Dataset`` with a length.

    Random transforms give the same pictures again too: without workers they draw from the global
    generators, which a checkpoint holds; in workers the generators of torch, numpy and Python are
    seeded anew for every batch.

    Args:
        dataset: of (image, label).
        batch_size: samples in a batch of one process.
        shuffle: draw the order anew every epoch.
        seed: of that order.
        rank: number of this process; batch b is positions b·B·w to (b+1)·B·w of the epoch's order,
            of which process r of w takes every w-th from r on.
        world: number of processes.
        drop_last: leave out a smaller last batch.
        loading: further arguments of ``DataLoader``.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = False,
        loading: dict[str, Any] | None = None,
    ) -> None:
        self._dataset, self._batch_size, self._drop_last = dataset, batch_size * world, drop_last
        self._shuffle, self._seed, self._rank, self._world = shuffle, seed, rank, world
        self._loading = loading or {}

    def __len__(self) -> int:
        whole, rest = divmod(len(self._dataset), self._batch_size)
        return whole + (rest > 0 and not self._drop_last)

    def total(self, position: int) -> int:
        """Return the number of samples of a batch over all processes."""
        return min(self._batch_size, len(self._dataset) - position * self._batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch, from position ``start`` on."""
        count = len(self._dataset)
        order = random_order(count, self._seed, epoch) if self._shuffle else torch.arange(count)
        wholes = order.split(self._batch_size)[start : len(self)]
        shares = [each[self._rank :: self._world].tolist() for each in wholes]
        # An empty share is loaded as one sample and cut: only the loader knows its shapes.
        batches = [mine or [int(each[0])] for mine, each in zip(shares, wholes, strict=True)]
        dataset = self._dataset
        if self._loading.get("num_workers"):
            dataset = _SeededInWorkers(dataset)
            batches = [
                [seed_of(self._seed, epoch, start + number, self._rank), *each]
                for number, each in enumerate(batches)
            ]
        # Of its own, because an iterator draws a number when it is made: from the global generator
        # that would be one more in an epoch that is taken up in the middle.
        generator = private_generator(self._seed, epoch)
        loader = DataLoader(dataset, batch_sampler=batches, generator=generator, **self._loading)
        try:
            for share, (images, labels) in zip(shares, loader, strict=True):
                yield (images, labels) if share else (images[:0], labels[:0])
        except TypeError as error:
            if "default_collate" not in str(error):
                raise
            found = str(error).rpartition("found ")[2].strip()
            raise CnnzooError(
                f"The data set gives samples that do not go into a batch of tensors: {found}. "
                "One of PIL images needs transform=torchvision.transforms.ToTensor()."
            ) from None


class _SeededInWorkers(Dataset[Any]):
    """The data set in a worker: a batch is asked for as [seed, index, index, …]."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __getitems__(self, asked: list[int]) -> list[Any]:
        seed, *indices = asked
        if get_worker_info() is not None:
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
        if hasattr(self._dataset, "__getitems__"):
            return list(self._dataset.__getitems__(indices))
        return [self._dataset[index] for index in indices]
