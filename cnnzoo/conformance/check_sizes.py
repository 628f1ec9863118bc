"""Checks of the sizes of image that a model takes, and of what it says about the others."""

from __future__ import annotations

import torch

from cnnzoo.conformance._check import expect, not_applicable
from cnnzoo.conformance._model_case import ModelCase, model_check
from cnnzoo.errors import CnnzooError


@model_check
def smallest_image_works_and_a_pixel_less_is_a_sentence(case: ModelCase) -> None:
    """The smallest image gives finite logits; smaller ones are refused with a CnnzooError."""
    _needs_image_size(case)
    for size, error in reversed(case.refusals.items()):
        _expect_a_sentence(size, error)
    built = case.build(image_size=case.small)
    with torch.no_grad():
        logits = built.model.eval()(built.images(1))
    expect(
        len(logits) == 1 and bool(logits.isfinite().all()),
        f"Expected finite logits for one image of {case.small} pixels; got {logits.tolist()}.",
    )


@model_check
def other_sizes_work_or_are_refused_in_a_sentence(case: ModelCase) -> None:
    """Images of 28 × 28 and of 32 × 40 pixels work, or are refused with a CnnzooError."""
    _needs_image_size(case)
    for size in (28, (32, 40)):
        error = case.attempt(size)
        if error is not None:
            _expect_a_sentence(size, error)


def _needs_image_size(case: ModelCase) -> None:
    if "image_size" not in case.takes:
        not_applicable("The model takes no image_size.")


def _expect_a_sentence(size: int | tuple[int, int], error: Exception) -> None:
    expect(
        isinstance(error, CnnzooError) and str(error).strip(),
        f"Expected image_size={size} to work or to be refused with a CnnzooError that says what is "
        f"wrong; it ended in {type(error).__name__}: {error}",
    )
