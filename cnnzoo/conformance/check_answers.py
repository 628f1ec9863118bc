"""Checks of a model's logits: shapes, gradients that arrive, and an answer that stays the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from cnnzoo.conformance._check import expect, expect_close
from cnnzoo.conformance._model_case import Built, ModelCase, model_check, without_dropout


@model_check
def grey_images_of_three_classes(case: ModelCase) -> None:
    """Grey images and three classes: logits (N, 3), and a finite gradient for every parameter."""
    _forward_and_backward(case, case.build(in_channels=1, num_classes=3), 3, batch=3)


@model_check
def rgb_images_of_ten_classes(case: ModelCase) -> None:
    """RGB images and ten classes: logits (N, 10), and a finite gradient for every parameter."""
    _forward_and_backward(case, case.build(in_channels=3, num_classes=10), 10, batch=2)


def _forward_and_backward(case: ModelCase, built: Built, classes: int, batch: int) -> None:
    model = without_dropout(built.model)
    x = built.images(batch).requires_grad_()
    logits = model(x)
    expect(
        isinstance(logits, torch.Tensor) and logits.dim() == 2 and len(logits) == batch,
        f"Expected logits ({batch}, classes); got {_said(logits)}.",
    )
    if "num_classes" in case.takes:
        expect(
            logits.shape[1] == classes,
            f"Expected logits ({batch}, {classes}) of a model built with num_classes={classes}; "
            f"got {tuple(logits.shape)}.",
        )
    F.cross_entropy(logits, torch.arange(batch) % logits.shape[1]).backward()
    expect(
        x.grad is not None and bool(x.grad.abs().sum() > 0),
        "Expected a gradient of the images that is not zero: something between them and the "
        "logits does not let it through.",
    )
    for key, parameter in model.named_parameters():
        expect(parameter.grad is not None, f"Expected a gradient for {key}; it got none.")
        finite = parameter.grad is not None and bool(parameter.grad.isfinite().all())
        expect(finite, f"Expected a finite gradient for {key}; it holds infinity or NaN.")


@model_check
def batch_of_one_and_of_none(case: ModelCase) -> None:
    """A batch of one image gives one row of logits, a batch of none gives none."""
    built = case.rgb
    for batch in (1, 0):
        logits = built.model(built.images(batch))
        expect(
            logits.dim() == 2 and len(logits) == batch,
            f"Expected logits ({batch}, classes) for a batch of {batch}; got {_said(logits)}.",
        )


@model_check
def evaluation_is_deterministic(case: ModelCase) -> None:
    """In evaluation mode the same image has the same logits, whatever else is in the batch."""
    built = case.rgb
    x = built.images(3)
    with torch.no_grad():
        first = built.model(x)
        expect(
            torch.equal(built.model(x), first),
            "Expected the same logits twice in evaluation mode; the second call gave others.",
        )
        alone = built.model(x[1:2])
    expect_close(alone, first[1:2], 1e-4, "The logits of an image alone and among others")


def _said(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__
