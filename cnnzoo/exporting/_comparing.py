"""A file that was loaded again, beside the model it was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from cnnzoo.errors import CnnzooError

# Of the greatest output. float32 gets a hundred times its rounding: sums are taken in another
# order. Half precision rounds after every layer, and a compiler keeps some of them in float32.
TOLERANCE, TOLERANCE_HALF = 1e-4, 5e-2


def compare(
    run: Callable[[Tensor], Any], model: nn.Module, batches: Iterable[Tensor], path: Path
) -> tuple[float, float]:
    """Return the largest absolute difference of the outputs, and the model's largest output.

    Raises:
        CnnzooError: the file does not run, gives other shapes, or differs by more than 1e-4 of the
            largest output (float16 and bfloat16: 5e-2).
    """
    difference = largest = 0.0
    tolerance = TOLERANCE
    for x in batches:
        with torch.no_grad():
            wanted = tree_leaves(model(x))
        try:
            with torch.no_grad():
                got = tree_leaves(run(x))
        except Exception as error:
            raise CnnzooError(
                f"{path} was written, but does not run for a batch of {len(x)}: "
                f"{brief(error)} It was removed."
            ) from error
        shapes = [tuple(y.shape) for y in wanted], [tuple(y.shape) for y in got]
        if shapes[0] != shapes[1]:
            raise CnnzooError(
                f"{path} was written, but gives outputs {shapes[1]} where the model gives "
                f"{shapes[0]}. It was removed."
            )
        for right, wrong in zip(wanted, got, strict=True):
            if right.dtype in (torch.float16, torch.bfloat16):
                tolerance = TOLERANCE_HALF
            if not right.numel():
                continue
            right, wrong = right.double(), wrong.to(right.device).double()
            same = (right == wrong) | (right.isnan() & wrong.isnan())  # infinities, too
            # A NaN in one of them only makes the difference NaN, which no tolerance admits.
            apart = (right - wrong).abs().masked_fill(same, 0).max()
            difference = max(float(apart), difference, key=_nan_wins)
            largest = max(float(right.nan_to_num(0, 0, 0).abs().max()), largest)
    if not difference <= tolerance * max(largest, 1e-6):
        raise CnnzooError(
            f"{path} was written, but differs from the model by {difference:.2g} where outputs "
            f"are up to {largest:.2g}. It was removed."
        )
    return difference, largest


def brief(error: BaseException) -> str:
    """Return the first line of an error's message, as a sentence of at most 200 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return (text[:199] + "…" if len(text) > 200 else text).rstrip(".") + "."


def _nan_wins(value: float) -> float:
    return float("inf") if value != value else value
