"""Batches sliced from memory: no workers, no pickling, no picture decoded twice.

The order of an epoch is a pure function of (seed, epoch): position p of epoch e holds the sample
``sample_order(n, seed=seed, epoch=e)[p]``, and batch b is positions b·B to (b+1)·B. So an epoch
can be taken up at any batch, and several processes can share one by dividing the positions among
themselves (rank r of w takes every w-th position of a batch) without talking to each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.seeds import private_generator

if TYPE_CHECKING:
    from cnnzoo.data._base import ImageSet


def sample_order(n: int, *, seed: int, epoch: int) -> Tensor:
    """Return which of ``n`` samples stands at which position of an epoch: int64 (n,)."""
    return torch.randperm(n, generator=private_generator(seed, epoch))


class BatchLoader:
    """Iterates over an `ImageSet` in batches of preprocessed images and labels.

    Usually made by ``image_set.batches(…)``. Iterating gives the epoch of the last `set_epoch`
    (0 at first), as torch's `DistributedSampler` does; `epoch` names it outright.

    Args:
        image_set: where the images are.
        batch_size: images a batch; the last one may be smaller.
        shuffle: a new order every epoch; otherwise the order of the set.
        seed: any whole number; with the epoch it fixes the order.
        drop_last: leave out a smaller last batch.

    Raises:
        CnnzooError: a batch size below 1, or ``drop_last`` would leave nothing.
    """

    def __init__(
        self,
        image_set: ImageSet,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, None)):
            _check_whole(name, value, least)
        if drop_last and batch_size > len(image_set):
            raise CnnzooError(
                f"drop_last leaves no batch: batch_size is {batch_size} and {image_set.name} has "
                f"{len(image_set)} image(s). Take a smaller batch, or drop_last=False."
            )
        self.image_set = image_set
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self._epoch = 0

    def __len__(self) -> int:
        whole, rest = divmod(len(self.image_set), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

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
            memory with the set.

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
        for batch in range(start, len(self)):
            samples = order[batch * self.batch_size : (batch + 1) * self.batch_size]  # (B,)
            images = data.images.index_select(0, samples)  # (B, C, H, W)
            yield data.preprocessing(images), data.labels.index_select(0, samples)

    def __repr__(self) -> str:
        order = f"shuffled with seed {self.seed}" if self.shuffle else "in order"
        what = f"{len(self)} batches of {self.batch_size} from {self.image_set!r}"
        return f"BatchLoader({what}, {order})"


def _check_whole(name: str, value: Any, least: int | None) -> None:
    whole = isinstance(value, Integral) and not isinstance(value, bool)  # numpy's too
    if not whole or (least is not None and value < least):
        bound = "" if least is None else f" of at least {least}"
        raise CnnzooError(f"{name} must be a whole number{bound}, got {value!r}.")
