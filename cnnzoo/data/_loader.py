"""Batches sliced from memory: no workers, no pickling, no picture decoded twice.

The order of an epoch is a pure function of (seed, epoch): position p of epoch e holds the sample
``sample_order(n, seed=seed, epoch=e)[p]``, and batch b is positions b·B·w to (b+1)·B·w, where w
processes share the work: rank r takes every w-th of them from r on. So an epoch can be taken up at
any batch, and nobody has to talk to anybody for no sample to be taken twice or left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.seeds import random_order

if TYPE_CHECKING:
    from cnnzoo.data._base import ImageSet

_BLOCK = 1 << 22  # bytes of float32 that are preprocessed at once: a small batch is mostly overhead


def sample_order(n: int, *, seed: int, epoch: int) -> Tensor:
    """Return which of ``n`` samples stands at which position of an epoch: int64 (n,)."""
    return random_order(n, seed, epoch)


class BatchLoader:
    """Iterates over an `ImageSet` in batches of preprocessed images and labels.

    Usually made by ``image_set.batches(…)``. Iterating gives the epoch of the last `set_epoch`
    (0 at first), as torch's `DistributedSampler` does; `epoch` names it outright.

    Args:
        image_set: where the images are.
        batch_size: images a batch of one process; the last one may be smaller.
        shuffle: a new order every epoch; otherwise the order of the set.
        seed: any whole number; with the epoch it fixes the order.
        drop_last: leave out a smaller last batch.
        rank: number of this process, from 0. Where the last batch has fewer images than there are
            processes, those of the highest rank get an empty one.
        world: number of processes that share the set.

    Raises:
        CnnzooError: a batch size below 1, a rank that is none, or ``drop_last`` would leave
            nothing.
    """

    def __init__(
        self,
        image_set: ImageSet,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("seed", seed, None),
            ("rank", rank, 0),
            ("world", world, 1),
        ):
            _check_whole(name, value, least)
        if rank >= world:
            raise CnnzooError(f"rank counts from 0 to world - 1 = {world - 1}; got {rank}.")
        if drop_last and batch_size * world > len(image_set):
            raise CnnzooError(
                f"drop_last leaves no batch: batch_size is {batch_size * world} and "
                f"{image_set.name} has {len(image_set)} image(s). Take a smaller batch, or "
                "drop_last=False."
            )
        self.image_set = image_set
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.rank = rank
        self.world = world
        self._epoch = 0

    def __len__(self) -> int:
        whole, rest = divmod(len(self.image_set), self.batch_size * self.world)
        return whole + (rest > 0 and not self.drop_last)

    def total(self, position: int) -> int:
        """Return the number of images of the batch at a position, over all processes."""
        whole = self.batch_size * self.world
        return min(whole, len(self.image_set) - position * whole)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that ``iter()`` gives from now on."""
        _check_whole("epoch", epoch, 0)
        self._epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.epoch(self._epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over one epoch.

        Args:
            epoch: which one, from 0.
            start: the first batch to give; batches before it are skipped at no cost, those after
                it are the same as without skipping.

        Returns:
            Iterator over float32 images (B, C, H, W) and int64 labels (B,), none of them sharing
            memory with the set or with one another.

        Raises:
            CnnzooError: at once, if ``epoch`` is negative or ``start`` is not in 0..len.
        """
        _check_whole("epoch", epoch, 0)
        _check_whole("start", start, 0)
        if start > len(self):
            raise CnnzooError(f"start={start} lies behind the epoch's {len(self)} batch(es).")
        return self._batches(epoch, start)

    def _batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        data = self.image_set
        n = len(data)
        order = sample_order(n, seed=self.seed, epoch=epoch) if self.shuffle else torch.arange(n)
        order = order.to(data.images.device)  # (N,)
        whole = self.batch_size * self.world
        at_once = max(1, _BLOCK // (4 * self.batch_size * data.images[0].numel()))
        for first in range(start, len(self), at_once):
            shares = [
                order[batch * whole : (batch + 1) * whole][self.rank :: self.world]  # (B,)
                for batch in range(first, min(first + at_once, len(self)))
            ]
            samples, sizes = torch.cat(shares), [len(share) for share in shares]
            images = data.preprocessing(data.images.index_select(0, samples))  # (…, C, H, W)
            labels = data.labels.index_select(0, samples)
            yield from zip(images.split(sizes), labels.split(sizes), strict=True)

    def __repr__(self) -> str:
        order = f"shuffled with seed {self.seed}" if self.shuffle else "in order"
        what = f"{len(self)} batches of {self.batch_size} from {self.image_set!r}"
        return f"BatchLoader({what}, {order})"


def _check_whole(name: str, value: Any, least: int | None) -> None:
    whole = isinstance(value, Integral) and not isinstance(value, bool)  # numpy's too
    if not whole or (least is not None and value < least):
        bound = "" if least is None else f" of at least {least}"
        raise CnnzooError(f"{name} must be a whole number{bound}, got {value!r}.")
