"""MNIST's file format, IDX, and the data sets that torchvision keeps in it.

An IDX file of bytes is 00 00 08 and the rank r, then r sizes as big-endian uint32, then the bytes
(Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"). torchvision verifies
what it downloads, but takes unpacked files as they are; so header, length, counts and labels are
compared here, before anything is believed.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import Any

from torch import Tensor

from cnnzoo.data._base import DataSplits, make_splits
from cnnzoo.data._download import data_root, fetch
from cnnzoo.errors import CnnzooError


def load_idx(
    name: str, kind: Any, root: str | os.PathLike[str] | None, classes: list[str], address: str
) -> DataSplits:
    """Load one of torchvision's data sets of the MNIST family, downloading it where it is missing.

    Args:
        name: of the data set.
        kind: torchvision's class.
        root: as in `cnnzoo.data.load_data`.
        classes: their names.
        address: where a person can get the files.

    Raises:
        CnnzooError: no files and no network, or a file that is damaged.
    """
    top = data_root(root)
    folder = top / kind.__name__ / "raw"
    packed = [file for file, _ in kind.resources]
    unpacked = [folder / file.removesuffix(".gz") for file in packed]
    if not all(path.is_file() for path in unpacked):
        fetch(name, lambda: kind(str(top), download=True), folder, packed, address)
    train_images, train_labels, test_images, test_labels = unpacked
    return make_splits(
        name,
        classes,
        _read_pair(train_images, train_labels, len(classes)),
        _read_pair(test_images, test_labels, len(classes)),
    )


def _read_pair(image_file: Path, label_file: Path, num_classes: int) -> tuple[Tensor, Tensor]:
    """Read images (N, H, W) and their labels (N,)."""
    from torchvision.datasets.mnist import read_image_file, read_label_file

    n, height, width = check_idx(image_file, rank=3)
    (n_labels,) = check_idx(label_file, rank=1)
    if n != n_labels:
        raise CnnzooError(
            f"{image_file} holds {n} images and {label_file.name} beside it {n_labels} labels: "
            "they do not belong together. Delete both and load again."
        )
    images, labels = read_image_file(str(image_file)), read_label_file(str(label_file))
    if int(labels.max()) >= num_classes:
        where = int((labels >= num_classes).nonzero()[0])
        raise CnnzooError(
            f"{label_file}: label {int(labels[where])} at position {where} is outside the "
            f"{num_classes} classes. The file is damaged: delete it and load again."
        )
    return images.view(n, height, width), labels


def check_idx(path: Path, rank: int) -> tuple[int, ...]:
    """Compare an IDX file's header with its length, and return the sizes.

    Raises:
        CnnzooError: it is unreadable, of another format or rank, empty, cut short or too long.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(4 + 4 * rank)
    except OSError as error:
        raise CnnzooError(f"{path} cannot be read: {error.strerror or error}.") from error
    again = "Delete it and load again, or copy it anew."
    if head.startswith(b"\x1f\x8b"):
        raise CnnzooError(f"{path} is still packed (gzip). Unpack it, or call it {path.name}.gz.")
    magic = bytes((0, 0, 8, rank))
    if not head.startswith(magic):
        raise CnnzooError(
            f"{path} is no IDX file of rank {rank}: it should begin with {magic.hex(' ')}, and "
            f"begins with {head[:4].hex(' ') or 'nothing'}. {again}"
        )
    sizes = struct.unpack(f">{rank}I", head[4:]) if len(head) == 4 + 4 * rank else ()
    expected = 4 + 4 * rank + math.prod(sizes)
    if not sizes or size != expected:
        said = f"its header announces {expected:,}" if sizes else "not even the whole header"
        raise CnnzooError(f"{path} is damaged: it has {size:,} bytes, {said}. {again}")
    if 0 in sizes:
        raise CnnzooError(f"{path} holds nothing: its sizes are {sizes}. {again}")
    return sizes
