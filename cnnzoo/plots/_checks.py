"""What comes in, checked once, as arrays. Tensors are taken without importing torch."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from cnnzoo.errors import CnnzooError

Array: TypeAlias = np.ndarray[Any, Any]


def array_of(values: Any) -> Array:
    """Return numbers of any shape, from an array, a tensor or nested lists."""
    if hasattr(values, "detach"):  # a tensor, on any device; the figures know arrays only
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise CnnzooError(f"Expected an array of numbers; got {array.dtype}.")
    return array


def images_of(values: Any) -> Array:
    """Return images: uint8 (N, C, H, W), C = 1 or 3."""
    images = array_of(values)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise CnnzooError(
            "Expected images as uint8 (N, C, H, W) with 1 or 3 channels; "
            f"got {images.dtype} {images.shape}."
        )
    return images


def whole_numbers(values: Any, what: str) -> Array:
    """Return int64 (N,); ``what`` says in the error what they stand for."""
    numbers = array_of(values)
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise CnnzooError(
            f"Expected {what} as whole numbers (N,); got {numbers.dtype} {numbers.shape}."
        )
    return numbers.astype(np.int64)


def same_length(images: Array, **others: Array) -> None:
    """Refuse what is not one an image."""
    for name, values in others.items():
        if len(values) != len(images):
            raise CnnzooError(f"Got {len(images)} images but {len(values)} {name}.")


def positive(count: int) -> int:
    """Return a count of at least one."""
    if count < 1:
        raise CnnzooError(f"count must be at least 1; got {count}.")
    return count
