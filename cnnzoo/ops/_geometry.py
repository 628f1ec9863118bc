"""Sizes of a fused block, and the checks of everything a caller can get wrong about them.

N images, C channels and H W input, K filters of R S, P Q pooled output.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple

from cnnzoo.errors import CnnzooError

Pair = int | tuple[int, ...] | list[int]
MOST_BYTES = 1 << 47  # what 64-bit machines can address


class Window(NamedTuple):
    """How the filter and the pool move: the numbers that every operator takes as one list."""

    stride_h: int
    stride_w: int
    padding_h: int
    padding_w: int
    pool_h: int
    pool_w: int
    pool_stride_h: int
    pool_stride_w: int
    pool_padding_h: int
    pool_padding_w: int


def pair(name: str, value: Pair, at_least: int) -> tuple[int, int]:
    """Two ints of at least `at_least`, from one or two."""
    try:
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, Sequence):
            height, width = (operator.index(one) for one in value)
        else:
            height = width = operator.index(value)
    except (TypeError, ValueError):
        raise CnnzooError(f"{name}: expected an int or a pair of ints, got {value!r}.") from None
    if height < at_least or width < at_least:
        raise CnnzooError(f"{name}: expected at least {at_least}, got {value!r}.")
    return height, width


def window(
    stride: Pair, padding: Pair, pool_size: Pair, pool_stride: Pair | None, pool_padding: Pair
) -> Window:
    """Check the arguments that need no tensor."""
    pool = pair("pool_size", pool_size, 1)
    steps = pool if pool_stride is None else pair("pool_stride", pool_stride, 1)
    edge = pair("pool_padding", pool_padding, 0)
    if 2 * edge[0] > pool[0] or 2 * edge[1] > pool[1]:
        raise CnnzooError(
            f"pool_padding: expected at most half of pool_size={pool_size!r}, got {pool_padding!r}."
        )
    return Window(*pair("stride", stride, 1), *pair("padding", padding, 0), *pool, *steps, *edge)


def conv_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Rows or columns of a convolution's output."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def pooled_size(
    x: Sequence[int], weight: Sequence[int], win: Sequence[int], dilation: tuple[int, int] = (1, 1)
) -> tuple[int, int]:
    """P and Q, rounded down as torch does with ceil_mode off; no checks, so symbols may pass."""
    stride_h, stride_w, pad_h, pad_w, pool_h, pool_w, step_h, step_w, edge_h, edge_w = win
    rows = conv_size(x[2], weight[2], stride_h, pad_h, dilation[0])
    columns = conv_size(x[3], weight[3], stride_w, pad_w, dilation[1])
    return conv_size(rows, pool_h, step_h, edge_h), conv_size(columns, pool_w, step_w, edge_w)


def check_ranks(
    x: Sequence[int], weight: Sequence[int], bias: Sequence[int] | None, groups: int
) -> None:
    """Check what holds whatever the sizes are, so that a tracer with symbolic sizes may ask too."""
    if len(x) != 4:
        raise CnnzooError(f"x: expected shape (N, C, H, W), got {tuple(x)}.")
    if len(weight) != 4:
        raise CnnzooError(f"weight: expected shape (K, C / groups, R, S), got {tuple(weight)}.")
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise CnnzooError(f"groups: expected an int of at least 1, got {groups!r}.")
    if bias is not None and len(bias) != 1:
        raise CnnzooError(f"bias: expected shape (K,), got {tuple(bias)}.")


def check_sizes(
    x: Sequence[int],
    weight: Sequence[int],
    bias: Sequence[int] | None,
    win: Window,
    dilation: tuple[int, int],
    groups: int,
) -> None:
    """Check that the sizes fit together and that every window lies somewhere.

    Raises:
        CnnzooError: they do not; it names the argument, what was expected and what arrived.
    """
    filters, per_group, *kernel = weight
    if min(filters, per_group, *kernel) < 1:
        raise CnnzooError(f"weight: expected sizes of at least 1, got {tuple(weight)}.")
    if x[1] != per_group * groups:
        raise CnnzooError(
            f"x: expected {per_group * groups} channels, since weight has shape {tuple(weight)} "
            f"and groups={groups}; got {x[1]} in shape {tuple(x)}."
        )
    if filters % groups:
        raise CnnzooError(f"groups: expected a divisor of the {filters} filters, got {groups}.")
    if bias is not None and bias[0] != filters:
        raise CnnzooError(f"bias: expected shape ({filters},), got {tuple(bias)}.")

    padded = (x[2] + 2 * win.padding_h, x[3] + 2 * win.padding_w)
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    if padded[0] < reach[0] or padded[1] < reach[1] or min(x[2:]) < 1:
        raise CnnzooError(
            f"x: expected at least {reach[0]}x{reach[1]} after padding, the reach of the kernel; "
            f"got {x[2]}x{x[3]}, padded {padded[0]}x{padded[1]}."
        )
    rows = conv_size(x[2], kernel[0], win.stride_h, win.padding_h, dilation[0])
    columns = conv_size(x[3], kernel[1], win.stride_w, win.padding_w, dilation[1])
    if min(pooled_size(x, weight, win, dilation)) < 1:
        raise CnnzooError(
            f"pool_size: expected at most the convolution's {rows}x{columns} output with its pool "
            f"padding, got {win.pool_h}x{win.pool_w}."
        )
    most = max(x[0] * x[1] * x[2] * x[3], x[0] * filters * rows * columns)
    if 4 * most > MOST_BYTES:
        raise CnnzooError(
            f"x: expected a convolution of at most 2^45 values, got {most} from shape {tuple(x)}."
        )
