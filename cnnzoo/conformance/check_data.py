"""Checks of a data set: two parts of bytes in memory, the same every time, however it is read."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.utils.data import DataLoader

from cnnzoo.conformance._check import ConformanceError, checks_on, expect, not_applicable
from cnnzoo.data import DataSplits, Preprocessing, load_data
from cnnzoo.errors import CnnzooError
from cnnzoo.registry import datasets

_BATCH = 7
_IMAGES = 50  # enough for several batches of 7, one of them smaller


class DataCase:
    """A registered data set.

    Args:
        name: as it is registered.
        **options: what `cnnzoo.load_data` needs, such as ``root``.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self.options = options

    @functools.cached_property
    def splits(self) -> DataSplits:
        """Both parts."""
        try:
            return load_data(self.name, **self.options)
        except CnnzooError as error:
            raise ConformanceError(
                "Expected the data set to load without options; its files, if it needs any, lie in "
                f"the folder that the environment variable CNNZOO_DATA names. It says: {error}"
            ) from error


data_check = checks_on("data set", DataCase)


@data_check
def keeps_the_contract(case: DataCase) -> None:
    """Both parts hold uint8 images (N, C, H, W) and int64 labels, with the same classes."""
    for part, split in zip(case.splits, ("train", "test"), strict=True):
        where = f"the {split} part"
        expect(
            part.split == split, f'Expected {where} to be called "{split}"; it is "{part.split}".'
        )
        images, labels = part.images, part.labels
        expect(
            images.dtype == torch.uint8 and images.ndim == 4 and images.is_contiguous(),
            f"Expected contiguous uint8 images (N, C, H, W) in {where}; got {images.dtype} of "
            f"shape {tuple(images.shape)}.",
        )
        expect(
            labels.dtype == torch.int64 and labels.shape == images.shape[:1],
            f"Expected int64 labels, one an image, in {where}; got {labels.dtype} of shape "
            f"{tuple(labels.shape)}.",
        )
        expect(
            0 <= int(labels.min()) <= int(labels.max()) < len(part.classes),
            f"Expected labels of 0..{len(part.classes) - 1} in {where}; they go from "
            f"{int(labels.min())} to {int(labels.max())}.",
        )
    train, test = case.splits
    expect(train.classes == test.classes, "Expected the same classes in both parts; they differ.")


@data_check
def statistics_are_the_training_sets(case: DataCase) -> None:
    """Both parts are preprocessed with the mean and deviation of the training images."""
    train, test = case.splits
    wanted = Preprocessing.of(train.images)
    for part in (train, test):
        expect(
            part.preprocessing == wanted,
            f"Expected the {part.split} part to have the statistics of the training images, "
            f"{wanted}; it has {part.preprocessing}.",
        )


@data_check
def is_the_same_every_time(case: DataCase) -> None:
    """Loaded twice, and with the name in capitals, it holds the same bytes in the same order."""
    again = load_data(case.name.upper(), **case.options) if case.splits else case.splits
    for first, second in zip(case.splits, again, strict=True):
        expect(
            first.fingerprint() == second.fingerprint(),
            f"Expected the same {first.split} images, labels and classes when loaded again; "
            "they differ: draw them from a fixed seed, list files in sorted order.",
        )


@data_check
def no_image_is_in_both_parts(case: DataCase) -> None:
    """No test image is a training image, byte for byte, but for single ones."""
    train, test = case.splits
    if len(train) + len(test) > 200_000:
        not_applicable("The data set is too large to be searched for copies.")
    known = {image.numpy().tobytes() for image in train.images}
    copies = sum(image.numpy().tobytes() in known for image in test.images)
    expect(
        copies <= 0.01 * len(test) + 1,
        f"Expected test images that are not in the training set; {copies} of {len(test)} are.",
    )


@data_check
def both_loaders_agree(case: DataCase) -> None:
    """PyTorch's `DataLoader` and the zoo's batches give the same floats, to the bit."""
    test = case.splits.test[:_IMAGES]
    ordinary, fast = list(DataLoader(test, batch_size=_BATCH)), list(test.batches(_BATCH))
    expect(
        len(ordinary) == len(fast),
        f"Expected {len(ordinary)} batches of {_BATCH}; got {len(fast)}.",
    )
    for (images, labels), (fast_images, fast_labels) in zip(ordinary, fast, strict=True):
        same = torch.equal(images, fast_images) and torch.equal(labels, fast_labels)
        expect(same, "Expected the same images and labels from both loaders; they differ.")
        expect(
            images.dtype == torch.float32 and bool(images.isfinite().all()),
            f"Expected finite float32 images; got {images.dtype}.",
        )


@data_check
def has_a_summary_and_takes_a_root(case: DataCase) -> None:
    """A line says what it is, and root=None is taken, so that changing the name is enough."""
    entry = datasets.info(case.name)
    expect(
        20 < len(entry.summary) < 100,
        "Expected a docstring that begins with a line of 20 to 100 characters; got "
        f'"{entry.summary}".',
    )
    expect(
        "root" in entry.arguments and entry.arguments["root"] is None,
        "Expected an argument root=None, used or not; "
        f"it takes: {', '.join(entry.arguments) or 'none'}.",
    )
