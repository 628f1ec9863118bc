"""Running a model and its fused twin on an example: the same outputs, and which is faster."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from cnnzoo.errors import CnnzooError

_SECONDS = 2.0  # that timing may take, at least `_FEWEST` runs of each
_FEWEST, _MOST = 5, 51
_NOISE = 1.03  # medians nearer to each other than this are the same


def run(model: nn.Module, arguments: tuple[Any, ...]) -> list[Tensor]:
    """Return the tensors of the output, in eval mode without gradients; modes stay as they were.

    Raises:
        CnnzooError: the model does not take the arguments.
    """
    was_training = {each: each.training for each in model.modules()}
    try:
        with torch.no_grad():
            output = model.eval()(*arguments)
    except Exception as error:  # whatever a foreign forward raises
        got = ", ".join(
            str(tuple(a.shape)) if isinstance(a, Tensor) else type(a).__name__ for a in arguments
        )
        why = str(error).strip().partition("\n")[0]
        raise CnnzooError(
            f"{type(model).__name__} does not take the example {got}: {why} "
            "Give a batch of images as the model expects it, (N, C, H, W)."
        ) from error
    finally:
        for each, mode in was_training.items():
            each.training = mode
    return [leaf for leaf in _pytree.tree_leaves(output) if isinstance(leaf, Tensor)]


def compare(before: nn.Module, after: nn.Module, arguments: tuple[Any, ...]) -> tuple[float, float]:
    """Return the largest difference of the outputs, and the largest output.

    Other shapes or a NaN elsewhere make the difference infinite.
    """
    pairs = list(zip(run(before, arguments), run(after, arguments), strict=True))
    difference = largest = 0.0
    for old, new in pairs:
        if old.shape != new.shape or not torch.equal(old.isnan(), new.isnan()):
            return float("inf"), largest
        if old.numel():
            difference = max(difference, float((old - new).nan_to_num(0.0).abs().max()))
            largest = max(largest, float(old.nan_to_num(0.0).abs().max()))
    return difference, largest


def time_both(
    before: nn.Module, after: nn.Module, arguments: tuple[Any, ...]
) -> tuple[float, float, bool]:
    """Return both medians in microseconds, and whether the second is slower beyond noise."""
    start = time.perf_counter()
    _once(before, arguments)
    _once(after, arguments)
    pair = max(time.perf_counter() - start, 1e-6)
    rounds = max(_FEWEST, min(_MOST, int(_SECONDS / pair)))
    old, new = [], []
    for _ in range(rounds):  # alternating, so that a busy moment hits both
        old.append(_once(before, arguments))
        new.append(_once(after, arguments))
    mostly = sum(b > a for a, b in zip(old, new, strict=True)) > 0.7 * rounds
    medians = statistics.median(old), statistics.median(new)
    return medians[0] * 1e6, medians[1] * 1e6, mostly and medians[1] > _NOISE * medians[0]


def _once(model: nn.Module, arguments: tuple[Any, ...]) -> float:
    was_training = {each: each.training for each in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            start = time.perf_counter()
            model(*arguments)
            return time.perf_counter() - start
    finally:
        for each, mode in was_training.items():
            each.training = mode
