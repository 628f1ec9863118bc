"""Which pixels a box of outputs looks at: geometry only, one layer back at a time.

A box is (top, left, bottom, right) with the last row and column left out, as in slices.
"""

from __future__ import annotations

from typing import TypeAlias

from cnnzoo.layers import ConvReluMaxPool

Pair: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[int, int, int, int]


def pool_window(row: int, column: int, layer: ConvReluMaxPool, size: Pair) -> Box:
    """Return the positions of the convolution among which an output pixel takes the largest.

    Args:
        row: of the output pixel.
        column: of the output pixel.
        layer: whose output it is.
        size: (H, W) of the layer's input.

    >>> pool_window(1, 0, ConvReluMaxPool(1, 8, 3), (28, 28))
    (2, 0, 4, 2)
    """
    return _pooled_from((row, column, row + 1, column + 1), layer, size)


def conv_patch(box: Box, layer: ConvReluMaxPool, size: Pair) -> Box:
    """Return the input that a box of the convolution's positions looks at, padding left out.

    >>> conv_patch((2, 0, 3, 1), ConvReluMaxPool(1, 8, 3), (28, 28))
    (2, 0, 5, 3)
    """
    spans = []
    for axis in (0, 1):
        first, last = box[axis], box[axis + 2] - 1
        low = first * layer.stride[axis] - layer.padding[axis]
        high = last * layer.stride[axis] - layer.padding[axis]
        high += layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1
        spans.append((max(0, low), min(size[axis], high)))
    (top, bottom), (left, right) = spans
    return top, left, bottom, right


def receptive_field(box: Box, layer: ConvReluMaxPool, size: Pair) -> Box:
    """Return the input, of (H, W), that a box of the layer's outputs looks at.

    >>> receptive_field((0, 0, 1, 1), ConvReluMaxPool(1, 8, 3), (28, 28))
    (0, 0, 4, 4)
    """
    return conv_patch(_pooled_from(box, layer, size), layer, size)


def _pooled_from(box: Box, layer: ConvReluMaxPool, size: Pair) -> Box:
    conv = layer.conv_size(size)
    spans = []
    for axis in (0, 1):
        step, edge = layer.pool_stride[axis], layer.pool_padding[axis]
        low = box[axis] * step - edge
        high = (box[axis + 2] - 1) * step - edge + layer.pool_size[axis]
        spans.append((max(0, low), min(conv[axis], high)))
    (top, bottom), (left, right) = spans
    return top, left, bottom, right
