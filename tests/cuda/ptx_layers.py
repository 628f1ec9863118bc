"""Runs the passes of a layer through the launchers on an emulated device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ptx
import torch
from numpy.typing import NDArray
from ptx.host.host import TYPES, Launchers
from ptx_reference import DTYPES, Problem

PASSES = ("forward", "input", "weight")
NOTHING = torch.empty(0)


@dataclass
class Answers:
    """What the kernels wrote: tensors of the storage type, NCHW; nothing of passes left out."""

    y: torch.Tensor = NOTHING
    place: NDArray[np.uint8] | None = None
    grad_x: torch.Tensor = NOTHING
    grad_weight: torch.Tensor = NOTHING
    grad_bias: torch.Tensor = NOTHING


def run(
    launchers: Launchers, p: Problem, tf32: bool = True, passes: tuple[str, ...] = PASSES,
    seed: int = 0, lanes: int = 8192,
) -> Answers:  # fmt: skip
    """Forward, and the gradients on the places of the reference.

    Args:
        launchers: compiled, for one architecture.
        p: inputs and answers.
        tf32: whether float32 may use tensor cores.
        passes: which of them run.
        seed: of the order of the blocks.
        lanes: threads that run together.
    """
    device, layer, kind = ptx.Device(), p.layer, TYPES[p.dtype]
    launchers.start(device, seed, lanes)
    geometry = layer.geometry
    if why := launchers.call("run_covers", geometry):
        raise AssertionError(why.decode())
    x, x_strides = _strided(device, p.x, p.dtype, layer.layout)
    weight = device.upload(_stored(p.weight, p.dtype))
    bias = None if p.bias is None else device.upload(_stored(p.bias, p.dtype))
    size, count = DTYPES[p.dtype].itemsize, p.y.numel()
    y, place = device.allocate(count * size, size), device.allocate(count, 1)
    forward = (geometry, kind, launchers.capability, int(tf32))
    got = Answers()
    if "forward" in passes:
        _call(launchers, "run_forward", *forward, x, x_strides, weight, bias, y, place)
        got.y = _nhwc(device, y, p.y.shape, p.dtype)
        got.place = np.moveaxis(device.download(place, "u1", _last(p.y.shape)), 3, 1)

    grad_y, strides = _strided(device, p.grad_y, p.dtype, layer.layout)
    place = device.upload(np.ascontiguousarray(np.moveaxis(p.place, 1, 3)))
    if "input" in passes:
        grad_x = device.allocate(p.x.numel() * size, size)
        shared = (geometry, kind, grad_y, strides)
        _call(launchers, "run_backward_input", *shared, weight, place, grad_x)
        got.grad_x = _nhwc(device, grad_x, p.x.shape, p.dtype)
    if "weight" not in passes:
        return got

    workspace = device.allocate(launchers.call("run_backward_weight_workspace", geometry))
    grad_weight = device.allocate(p.weight.numel() * size, size)
    grad_bias = device.allocate(layer.k * size, size)
    _call(
        launchers, "run_backward_weight", geometry, kind, x, x_strides, grad_y, strides, place,
        grad_weight, grad_bias, workspace,
    )  # fmt: skip
    got.grad_weight = _tensor(device, grad_weight, tuple(p.weight.shape), p.dtype)
    got.grad_bias = _tensor(device, grad_bias, (layer.k,), p.dtype)
    return got


def _call(launchers: Launchers, name: str, *arguments: object) -> None:
    status = launchers.call(name, *arguments)
    assert status == 0, f"{name}: CUDA error {status}"


def _stored(values: torch.Tensor, dtype: str) -> NDArray:
    """As bits of the storage type."""
    held = values.contiguous().to(DTYPES[dtype])
    if dtype == "bfloat16":
        return held.view(torch.int16).numpy().view(np.uint16)
    return held.numpy()


def _strided(
    device: ptx.Device, values: torch.Tensor, dtype: str, layout: str
) -> tuple[int, tuple[int, ...]]:
    """Address and strides of a tensor in a layout; "sliced" has gaps that nobody may read."""
    bits = _stored(values, dtype)
    if layout == "nchw":
        return device.upload(bits), values.contiguous().stride()
    if layout == "nhwc":
        strides = values.contiguous(memory_format=torch.channels_last).stride()
        n, c, h, w = values.shape
        strides = (h * w * c, 1, w * c, c)
        return device.upload(np.ascontiguousarray(np.moveaxis(bits, 1, 3))), strides
    n, c, h, w = values.shape
    strides = (c * h * (w * 2 + 1), h * (w * 2 + 1), w * 2 + 1, 2)
    spread = np.zeros(n * strides[0], bits.dtype)
    reach = np.lib.stride_tricks.as_strided(
        spread, bits.shape, [s * bits.itemsize for s in strides]
    )
    reach[...] = bits
    address = device.upload(spread)
    mask = np.zeros(n * strides[0], bool)
    np.lib.stride_tricks.as_strided(mask, bits.shape, strides)[...] = True
    device.forbid(address, np.repeat(~mask, bits.itemsize))
    return address, strides


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    n, k, p, q = shape
    return n, p, q, k


def _tensor(device: ptx.Device, address: int, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    if dtype == "bfloat16":
        bits = device.download(address, "i2", shape).copy()
        return torch.from_numpy(bits).view(torch.bfloat16)
    name = {"float32": "f4", "float16": "f2"}[dtype]
    return torch.from_numpy(device.download(address, name, shape).copy())


def _nhwc(device: ptx.Device, address: int, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    return _tensor(device, address, _last(shape), dtype).permute(0, 3, 1, 2)
