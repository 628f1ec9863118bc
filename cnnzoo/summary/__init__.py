"""What a network costs, layer by layer: output shapes, parameters, MACs, activation memory.

MACs are `torch.utils.flop_counter`'s operations by two: multiply-adds of convolutions and matrix
products. The model runs once as shapes only (device "meta"), so that a large one takes
milliseconds; where it cannot run there, it runs on zeros where it is.

A conv-ReLU-maxpool layer counts as its convolution, all of whose positions count, also those at an
edge that the pool drops: the figure is the same for every implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from cnnzoo.errors import CnnzooError
from cnnzoo.modes import evaluating
from cnnzoo.summary._counting import count_calls
from cnnzoo.summary._table import LayerCost, Shape, Summary

__all__ = ["LayerCost", "Summary", "summarize"]


def summarize(
    model: nn.Module, input_size: Sequence[int] | None = None, *, batch_size: int = 1
) -> Summary:
    """Count what a forward pass of ``model`` costs, layer by layer, in evaluation mode.

    Args:
        model: any module; nothing of it changes.
        input_size: of one image (C, H, W), or what else the model takes; ``None``: the model's
            ``in_channels`` and ``image_size``.
        batch_size: how many images; MACs and activations grow with it.

    Raises:
        CnnzooError: no size is known, or the model cannot run on it.

    >>> import cnnzoo
    >>> found = summarize(cnnzoo.build("mnist_cnn"))
    >>> found.parameters, found.macs, found.layers[0].output
    (90678, 1390824, (1, 32, 13, 13))
    """
    shape = (batch_size, *(_size_of(model) if input_size is None else input_size))
    if not all(type(n) is int and n > 0 for n in shape):
        raise CnnzooError(f"Expected a batch of positive whole numbers; got {shape}.")
    anything = next(model.parameters(), torch.empty(0))
    state: dict[str, Any] = dict(model.named_parameters(remove_duplicate=False))
    state |= dict(model.named_buffers(remove_duplicate=False))
    # One twin for each tensor: tied weights stay tied.
    twins = {id(tensor): tensor.detach().to("meta") for tensor in state.values()}
    on_meta = {name: twins[id(tensor)] for name, tensor in state.items()}
    image = torch.zeros(shape, dtype=anything.dtype, device="meta")
    with evaluating(model), torch.no_grad():
        try:
            calls, finished = count_calls(model, on_meta, image)
        except Exception:  # it holds other tensors, or looks at values: there is no telling how
            image = torch.zeros(shape, dtype=anything.dtype, device=anything.device)
            try:
                calls, finished = count_calls(model, {}, image)
            except CnnzooError:
                raise
            except Exception as error:
                raise CnnzooError(
                    f"{type(model).__name__} cannot run on an input {shape}: {error}"
                ) from error
    modules = dict(model.named_modules())
    outputs = {call.name: call.output for call in calls}  # of several calls, the last
    paths = getattr(model, "stages", None) or _by_size(finished)
    stages = {name: output for name, path in paths.items() if (output := outputs.get(path))}
    rows = [
        call
        for call in calls
        if not modules[call.name]._modules or call.parameters or call.macs  # else: only a container
    ]
    return Summary(shape, rows + _not_called(modules, outputs), stages)


def _size_of(model: nn.Module) -> Shape:
    size, channels = getattr(model, "image_size", None), getattr(model, "in_channels", None)
    pair = (size, size) if isinstance(size, int) else size
    if not isinstance(pair, tuple) or not isinstance(channels, int):
        raise CnnzooError(
            f"{type(model).__name__} does not tell the size of its images: pass it, "
            "such as (3, 224, 224)."
        )
    return (channels, *pair)


def _by_size(finished: list[LayerCost]) -> dict[str, str]:
    """Name the last module of each height and width; a container ends after what it contains."""
    maps = [(c.name, c.output[2:]) for c in finished if c.name and c.output and len(c.output) == 4]
    last = [name for (name, size), (_, following) in pairwise(maps) if size != following]
    return {name: name for name in [*last, *(name for name, _ in maps[-1:])]}


def _not_called(modules: dict[str, nn.Module], called: dict[str, Shape | None]) -> list[LayerCost]:
    """Return the modules whose parameters nobody's call has counted, such as auxiliary heads."""
    counted = {id(p) for name in called for p in modules[name]._parameters.values()}
    rows = []
    for name, module in modules.items():
        own = {id(p): p.numel() for p in module._parameters.values() if p is not None}
        left = sum(size for key, size in own.items() if key not in counted)
        counted |= set(own)
        if left:
            rows.append(LayerCost(name, type(module).__name__, parameters=left))
    return rows
