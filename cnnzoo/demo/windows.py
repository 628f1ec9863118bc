"""One pixel of a feature map, taken apart: where it looked, what it multiplied, which place won.

It is computed again from the picture, out of the formula of `cnnzoo.ops.conv_relu_maxpool` and in
float64: nothing has to be kept between two questions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnzoo.demo.networks import Network
from cnnzoo.demo.receptive_field import Box, conv_patch, pool_window, receptive_field
from cnnzoo.errors import CnnzooError, did_you_mean
from cnnzoo.layers import ConvReluMaxPool


@dataclass
class _Run:
    """What went into and came out of the conv-ReLU-maxpool stages, by name, in order."""

    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)


def window(
    network: Network,
    seen: Tensor,
    stage: str,
    index: int,
    place: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Take one pixel of a feature map apart.

    Args:
        network: which one.
        seen: the picture as the network saw it, uint8 (C, H, W).
        stage: name of a stage that is one conv-ReLU-maxpool layer.
        index: which of its maps.
        place: row and column in the map; ``None``: where the map is strongest.

    Returns:
        ``row``, ``column``, ``value``; ``kernel`` and ``patch`` (C, R, S), what the winner
        multiplied; ``sums`` (C), their products summed for each input channel; ``bias``; ``pool``
        with ``values``, the rows of the pool window, and ``winner``, row and column in it;
        ``first``, number of the input map that is channel 0 of the kernel; ``loudest``, the channel
        with the largest of ``sums``; ``patch_box``, top, left, bottom and right of the patch in the
        input maps, and ``picture_box`` of what it depends on in the picture, ``None`` where other
        layers stand between.

    Raises:
        CnnzooError: no such stage, map or pixel; a stage of another kind.
    """
    layer = _layer(network.model, stage)
    with network.lock, torch.no_grad():
        run, picture = _run(network, seen)
    if stage not in run.outputs:
        raise CnnzooError(f'"{stage}" did not run for this picture.')
    x, maps = run.inputs[stage][0], run.outputs[stage][0]  # (C, H, W), (K, P, Q)
    index = _within("map", index, len(maps))
    if place is None:
        strongest = int(maps[index].argmax())
        place = divmod(strongest, maps.shape[2])
    row, column = (
        _within(name, number, size)
        for name, number, size in zip(("row", "column"), place, maps.shape[1:], strict=True)
    )
    size = (x.shape[1], x.shape[2])
    first = index // (layer.out_channels // layer.groups) * layer.weight.shape[1]
    group = x[first : first + layer.weight.shape[1]].double()  # the channels that the kernel sees
    kernel = layer.weight[index].detach().double()  # (C, R, S)
    bias = 0.0 if layer.bias is None else float(layer.bias[index].detach())
    conv = F.conv2d(
        group[None],
        kernel[None],
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
    )[0, 0]  # every position of this filter
    top, left, bottom, right = pool_window(row, column, layer, size)
    values = conv[top:bottom, left:right] + bias
    # The first in a tie, as in the operator; in its float32 a tie stays one.
    winner = divmod(int(values.float().argmax()), values.shape[1])
    position = (top + winner[0], left + winner[1])
    patch = _patch(group, layer, position)  # (C, R, S)
    sums = (patch * kernel).sum((1, 2))  # (C,)
    here = (*position, position[0] + 1, position[1] + 1)
    patch_box = conv_patch(here, layer, size)
    return {
        "stage": stage,
        "map": index,
        "row": row,
        "column": column,
        "value": max(0.0, float(values.max())),
        "kernel": kernel.tolist(),
        "patch": patch.tolist(),
        "sums": sums.tolist(),
        "bias": bias,
        "pool": {"values": values.tolist(), "winner": winner},
        "first": first,
        "loudest": int(sums.abs().argmax()),
        "patch_box": patch_box,
        "picture_box": _on_picture(network.model, run, picture, stage, patch_box),
    }


def _layer(model: nn.Module, stage: str) -> ConvReluMaxPool:
    stages: dict[str, str] = getattr(model, "stages", {})
    if stage not in stages:
        raise CnnzooError(
            f'This network has no stage "{stage}".{did_you_mean(str(stage), stages)} '
            f"There are: {', '.join(stages) or 'none'}."
        )
    module = model.get_submodule(stages[stage])
    if not isinstance(module, ConvReluMaxPool):
        raise CnnzooError(
            f'"{stage}" is not one convolution with its pool but a {type(module).__name__}: only '
            "its maps can be shown."
        )
    return module


def _run(network: Network, seen: Tensor) -> tuple[_Run, Tensor]:
    """Run the network once; return what its layers took and gave, and its own input."""
    run, handles = _Run(), []
    x = network.preprocessing(seen[None])
    for name, path in getattr(network.model, "stages", {}).items():
        module = network.model.get_submodule(path)
        if not isinstance(module, ConvReluMaxPool):
            continue

        def keep(_: nn.Module, given: Any, output: Tensor, name: str = name) -> None:
            run.inputs[name], run.outputs[name] = given[0], output

        handles.append(module.register_forward_hook(keep))
    try:
        network.model(x)
    finally:
        for handle in handles:
            handle.remove()
    return run, x


def _patch(group: Tensor, layer: ConvReluMaxPool, position: tuple[int, int]) -> Tensor:
    """Cut what the kernel multiplies at a position, the zeros of the padding included."""
    (pad_h, pad_w), (step_h, step_w), (dil_h, dil_w) = layer.padding, layer.stride, layer.dilation
    padded = F.pad(group, (pad_w, pad_w, pad_h, pad_h))
    rows = position[0] * step_h + dil_h * torch.arange(layer.kernel_size[0])
    columns = position[1] * step_w + dil_w * torch.arange(layer.kernel_size[1])
    return padded[:, rows[:, None], columns]  # (C, R, S)


def _on_picture(model: nn.Module, run: _Run, picture: Tensor, stage: str, box: Box) -> Box | None:
    """Follow a box of the stage's input back to the picture, through layers of this kind only."""
    while run.inputs[stage] is not picture:
        given = run.inputs[stage]
        before = next((name for name, output in run.outputs.items() if output is given), None)
        if before is None:  # something else stands between: a batch norm, a sum
            return None
        height, width = run.inputs[before].shape[2:]
        box = receptive_field(box, _layer(model, before), (height, width))
        stage = before
    return box


def _within(name: str, number: object, count: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
        raise CnnzooError(f"{name} is a whole number from 0 to {count - 1}; got {number!r:.40}.")
    return number
