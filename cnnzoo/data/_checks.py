"""What an image set must be: every check at the border, each with its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError

if TYPE_CHECKING:
    from cnnzoo.data._preprocessing import Preprocessing


def as_tensor(values: Any) -> Tensor:
    """Copy into a contiguous tensor, so that later changes of the caller's array stay outside."""
    if isinstance(values, Tensor):
        return values.detach().clone(memory_format=torch.contiguous_format)
    try:
        return torch.from_numpy(np.array(values, order="C"))
    except (TypeError, ValueError) as error:
        raise CnnzooError(f"Expected an array of numbers: {error}") from None


def check_images(images: Tensor, where: str) -> None:
    """Raise a `CnnzooError` unless these are uint8 (N, C, H, W), N at least 1."""
    if images.dtype != torch.uint8:
        hint = " Try (images * 255).round() as uint8." if images.is_floating_point() else ""
        raise CnnzooError(f"{where}: images must be uint8, 0..255; got {images.dtype}.{hint}")
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise CnnzooError(f"{where}: images must be (N, C, H, W), got shape {tuple(images.shape)}.")
    if not len(images):
        raise CnnzooError(f"{where}: expected at least one image, got none.")


def check_set(
    images: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    where: str,
) -> None:
    """Raise a `CnnzooError` unless these make an `ImageSet`."""
    check_images(images, where)
    expected = (preprocessing.channels, preprocessing.height, preprocessing.width)
    if images.shape[1:] != expected:
        raise CnnzooError(
            f"{where}: images are {tuple(images.shape[1:])} (C, H, W), but the preprocessing is "
            f"for {expected}."
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise CnnzooError(
            f"{where}: labels must be int64, one for each of the {len(images)} image(s); "
            f"got {labels.dtype} of shape {tuple(labels.shape)}."
        )
    if isinstance(classes, str) or not all(isinstance(each, str) for each in classes):
        raise CnnzooError(f"{where}: classes must be a list of names, got {classes!r}.")
    if len(set(classes)) != len(classes):
        raise CnnzooError(f"{where}: two classes have the same name: {', '.join(classes)}.")
    wrong = ((labels < 0) | (labels >= len(classes))).nonzero()  # (K, 1)
    if len(wrong):
        first = int(wrong[0])
        raise CnnzooError(
            f"{where}: label {int(labels[first])} of image {first} is outside the {len(classes)} "
            f"class(es), which are numbered 0..{len(classes) - 1}; {len(wrong)} label(s) are."
        )
