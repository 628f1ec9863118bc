"""Data sets in memory, each found by name.

    _preprocessing.py   how bytes become a network's input; travels with the weights
    _checks.py          what an image set must be, with the sentence for what is not
    _base.py            `ImageSet`: images, labels, classes; `DataSplits`: train and test
    _loader.py          batches in an order that depends on (seed, epoch) alone
    _download.py        where files lie, how they get there, what to do without a network
    _idx.py             MNIST's file format, checked before it is read
    digits.py mnist.py fashion_mnist.py cifar10.py folder.py    one data set a file

To add a data set, add a file: a function with ``@register_dataset("name")`` that returns
`DataSplits`. Nothing else has to know about it.
"""

from __future__ import annotations

import os
from typing import Any

from cnnzoo.data._base import DataSplits, ImageSet, make_splits
from cnnzoo.data._loader import BatchLoader, sample_order
from cnnzoo.data._preprocessing import Preprocessing
from cnnzoo.errors import CnnzooError
from cnnzoo.registry import datasets

__all__ = [
    "BatchLoader",
    "DataSplits",
    "ImageSet",
    "Preprocessing",
    "load_data",
    "make_splits",
    "sample_order",
]


def load_data(name: str, root: str | os.PathLike[str] | None = None, **options: Any) -> DataSplits:
    """Load a data set by name into memory.

    Args:
        name: ``"digits"`` (embedded, needs neither network nor files), ``"mnist"``,
            ``"fashion_mnist"``, ``"cifar10"``, ``"folder"`` (your own pictures), or what a plugin
            registered. Case is folded.
        root: folder the files lie in, and are downloaded into where they are missing; by default
            the environment variable ``CNNZOO_DATA``, else ``~/.cache/cnnzoo``. For ``"folder"``:
            the folder with the pictures.
        **options: what the data set itself takes, such as ``image_size`` of ``"folder"``.

    Returns:
        ``(train, test)``, two `ImageSet`.

    Raises:
        CnnzooError: an unknown name or option, files that are missing and cannot be downloaded,
            or files that are damaged; the sentence says which and what to do.

    >>> train, test = load_data("digits")
    >>> len(train), len(test), train.images.shape[1:]
    (1442, 355, torch.Size([1, 28, 28]))
    >>> for images, labels in train.batches(64, shuffle=True, seed=0):
    ...     print(images.dtype, tuple(images.shape), labels.dtype)
    ...     break
    torch.float32 (64, 1, 28, 28) torch.int64
    """
    given = {} if root is None else {"root": root}
    splits = datasets.build(name, **given, **options)
    if not isinstance(splits, DataSplits):
        raise CnnzooError(
            f'Data set "{name}" (registered at {datasets.info(name).origin}) must return '
            f"DataSplits; it returned {type(splits).__name__}."
        )
    return splits
