"""Check that a model learns: 32 real digits, until the loss is clearly below that of guessing."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnzoo.conformance._check import expect
from cnnzoo.conformance._model_case import ModelCase, model_check, without_dropout
from cnnzoo.data import load_data

_IMAGES = 32
_STEPS = 60
_RATES = (3e-4, 3e-3, 3e-2)  # a model needs to learn at one of them; large ones at the first
_FALL = 0.85  # of ln(classes), the loss of guessing; knowing how common a class is gives 0.98
_SIZE = 16  # pixels; a digit is still a digit


@model_check
def learns_real_digits_by_heart(case: ModelCase) -> None:
    """On 32 real digits the loss falls to 85 % of that of guessing within 60 steps of AdamW."""
    size = None
    if "image_size" in case.takes:
        size = _SIZE if case.attempt(_SIZE) is None else case.small
    histories = []
    wanted = 0.0
    for rate in _RATES:
        losses, wanted = _train(case, size, rate)
        if losses[-1] < wanted:
            return
        histories.append(f"{losses[0]:.3g} → {losses[-1]:.3g} at {rate:g}")
    expect(
        False,
        f"Expected the loss on {_IMAGES} digits to fall below {wanted:.3g} within {_STEPS} "
        f"steps of AdamW at some learning rate; got {', '.join(histories)}.",
    )


def _train(
    case: ModelCase, size: int | tuple[int, int] | None, rate: float
) -> tuple[list[float], float]:
    """Train on the digits until the loss has fallen; return the losses, and what was wanted."""
    torch.manual_seed(0)
    built = case.build(in_channels=1, num_classes=10, image_size=size)
    channels, height, width = built.shape
    images, labels = _digits()
    images = F.interpolate(images, (height, width), mode="bilinear", antialias=True)
    images = images.expand(-1, channels, -1, -1).contiguous()
    model = without_dropout(built.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    losses: list[float] = []
    wanted = 0.0
    for _ in range(_STEPS):
        logits = model(images)
        loss = F.cross_entropy(logits, labels % logits.shape[1])
        losses.append(loss.item())
        wanted = _FALL * min(losses[0], math.log(logits.shape[1]))
        if losses[-1] < wanted:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses, wanted


@functools.cache
def _digits() -> tuple[Tensor, Tensor]:
    train, _ = load_data("digits")
    first = train.take(range(_IMAGES))
    return first.preprocessing(first.images), first.labels
