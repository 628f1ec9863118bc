"""CIFAR-10: 60,000 small colour photographs of ten kinds of things.

Source: https://www.cs.toronto.edu/~kriz/cifar.html, read through torchvision. Licence: its authors
state none. Citation: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
technical report, University of Toronto, 2009.

The files are pickles, which can run code when they are read. torchvision unpickles none of them
before the MD5 of every one has been compared with its own table.
"""

from __future__ import annotations

import os
from pathlib import Path

from cnnzoo.data._base import DataSplits, make_splits
from cnnzoo.data._download import data_root, fetch
from cnnzoo.errors import CnnzooError
from cnnzoo.registry import register_dataset


@register_dataset("cifar10", aliases=("cifar-10",))
def cifar10(root: str | os.PathLike[str] | None = None) -> DataSplits:
    """Colour photographs of ten kinds of things, 50,000 + 10,000 RGB 32x32.

    Args:
        root: folder with ``cifar-10-batches-py``, or with ``cifar-10-python.tar.gz``; downloaded
            where it is missing. Default: ``$CNNZOO_DATA``, else ``~/.cache/cnnzoo``.

    Returns:
        Train and test set, classes ``"airplane"`` to ``"truck"``.

    Raises:
        CnnzooError: no files and no network, or a file with a wrong checksum, which is not read.
    """
    from torchvision.datasets import CIFAR10

    top = data_root(root)
    files = _files(top)
    if not all(path.is_file() for path in files):
        _refuse_damaged(files)  # torchvision would write over them
        fetch(
            "cifar10",
            lambda: CIFAR10(str(top), download=True),
            top,
            [CIFAR10.filename],
            CIFAR10.url,
        )
    try:
        train, test = (CIFAR10(str(top), train=part) for part in (True, False))
    except (RuntimeError, OSError) as error:
        _refuse_damaged(files)
        raise CnnzooError(f"CIFAR-10 in {top} cannot be read: {error}") from error
    return make_splits(
        "cifar10",
        train.classes,
        (train.data.transpose(0, 3, 1, 2), train.targets),  # (N, H, W, C) -> (N, C, H, W)
        (test.data.transpose(0, 3, 1, 2), test.targets),
    )


def _files(top: Path) -> dict[Path, str]:
    """Paths of the pickles with their MD5, from torchvision's table."""
    from torchvision.datasets import CIFAR10

    table = [
        *CIFAR10.train_list,
        *CIFAR10.test_list,
        (CIFAR10.meta["filename"], CIFAR10.meta["md5"]),
    ]
    return {top / CIFAR10.base_folder / file: md5 for file, md5 in table}


def _refuse_damaged(files: dict[Path, str]) -> None:
    from torchvision.datasets.utils import check_integrity

    for path, md5 in files.items():
        if path.is_file() and not check_integrity(str(path), md5):
            raise CnnzooError(
                f"{path} is damaged or was changed: its MD5 is not {md5}. It was not opened, as "
                "reading it could run what was put into it. Delete it and load again."
            )
