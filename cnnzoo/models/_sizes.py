"""How large an image still is after each stage, and what to say when nothing is left of it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from cnnzoo.errors import CnnzooError
from cnnzoo.layers import ConvReluMaxPool, count_windows

Pair = tuple[int, int]
_LARGEST_TRIED = 4096  # no network of the zoo needs a larger input


def final_size(model: str, image_size: Pair, stages: Mapping[str, nn.Module]) -> Pair:
    """Return (height, width) after all ``stages``: derived, so that no number is typed by hand.

    Args:
        model: its name, for the message.
        image_size: (H, W) of the input.
        stages: the convolution and pooling modules in order, by name; others are passed over.

    Raises:
        CnnzooError: the image is used up on the way; a table shows where.
    """
    rows = _walk(image_size, stages)
    if min(rows[-1][1]) >= 1:
        return rows[-1][1]
    tried = range(1, _LARGEST_TRIED)
    smallest = next((n for n in tried if min(_walk((n, n), stages)[-1][1]) >= 1), None)
    width = max(len(label) for label, _ in rows)
    table = "\n".join(
        f"  {label:<{width}}  {h:>4} x {w:<4}{'  <- nothing left' if min(h, w) < 1 else ''}"
        for label, (h, w) in rows
    )
    raise CnnzooError(
        f"{model}: an image of {image_size[0]} x {image_size[1]} is too small.\n{table}\n"
        f"The smallest image_size that works is {smallest}."
    )


def _walk(size: Pair, stages: Mapping[str, nn.Module]) -> list[tuple[str, Pair]]:
    """Follow the size through the stages, up to the one that leaves nothing."""
    rows = [("input", size)]
    for name, module in stages.items():
        for label, after in _windows_of(name, module, size):
            size = after
            rows.append((label, size))
            if min(size) < 1:
                return rows
    return rows


def _windows_of(name: str, module: nn.Module, size: Pair) -> list[tuple[str, Pair]]:
    """List what a stage does to the size, a row for each window that slides."""
    if isinstance(module, ConvReluMaxPool):
        conv, pool = module.kernel_size, module.pool_size
        return [
            (f"{name} convolution {conv[0]} x {conv[1]}", module.conv_size(size)),
            (f"{name} max-pool {pool[0]} x {pool[1]}", module.output_size(size)),
        ]
    if isinstance(module, nn.Sequential):
        rows: list[tuple[str, Pair]] = []
        for child in module:
            rows += _windows_of(name, child, rows[-1][1] if rows else size)
        return rows
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride, padding, dilation = (
            _pair(getattr(module, each, 1))  # an average pool has no dilation
            for each in ("kernel_size", "stride", "padding", "dilation")
        )
        kind = "convolution" if isinstance(module, nn.Conv2d) else "pooling"
        after = count_windows(size, kernel, stride, padding, dilation)
        return [(f"{name} {kind} {kernel[0]} x {kernel[1]}", after)]
    return []


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
