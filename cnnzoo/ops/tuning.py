"""Measure which implementation is faster, and write it down: only when somebody asks.

`cnnzoo.ops.conv_relu_maxpool` never times anything itself. What it chooses stands in tables that
come with cnnzoo (made by ``make calibrate``), or in a file of one's own, made here and named by the
environment variable ``CNNZOO_CHOICES``; so the same shapes get the same choice every time. A table
is of one instruction set and one dtype.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write
from cnnzoo.machine import cpu_model
from cnnzoo.ops import _choice, _geometry, _native, _tables
from cnnzoo.ops.conv_relu_maxpool import conv_relu_maxpool

MARGIN = 1.02  # the reference has to be this much faster: below lies the noise of a shared machine


@dataclass(frozen=True)
class Layer:
    """A layer to measure.

    Attributes:
        x: shape (N, C, H, W).
        weight: shape (K, C, R, S).
        options: keywords of `conv_relu_maxpool`.
        needs_input_gradient: whether something trainable lies before the layer.
    """

    x: tuple[int, ...]
    weight: tuple[int, ...]
    options: dict[str, Any]
    needs_input_gradient: bool = True


@dataclass(frozen=True)
class Measurement:
    """What was found out about a bucket of shapes.

    Attributes:
        bucket: key of the table.
        native_us: microseconds of a call in the fastest turn: others only ever add time.
        reference_us: likewise.
        dtype: of the tensors, "float32" or "bfloat16".
    """

    bucket: str
    native_us: float
    reference_us: float
    dtype: str = "float32"

    @property
    def gain(self) -> float:
        """How many times longer the reference takes."""
        return self.reference_us / self.native_us

    @property
    def choice(self) -> str:
        """The implementation to take."""
        return "reference" if self.gain * MARGIN < 1 else "native"


def measure(
    layer: Layer,
    *,
    training: bool,
    dtype: torch.dtype = torch.float32,
    rounds: int = 5,
    turn: float = 0.02,
) -> Measurement:
    """Time both implementations of a layer in turns, with the current number of threads.

    With one thread its CPU time counts, which others on the machine hardly change.

    Args:
        layer: what to measure.
        training: forward and backward, or forward alone.
        dtype: of all tensors.
        rounds: turns of each.
        turn: seconds that a turn should take.

    Raises:
        CnnzooError: the native kernels cannot run this layer here.
    """
    draw = torch.Generator().manual_seed(0)
    fan_in = math.prod(layer.weight[1:])
    x = torch.randn(layer.x, generator=draw).to(dtype)
    weight = (torch.randn(layer.weight, generator=draw) * (2 / fan_in) ** 0.5).to(dtype)
    weight.requires_grad_(training)
    bias = torch.zeros(layer.weight[0], dtype=dtype, requires_grad=training)
    if layer.needs_input_gradient:  # inside a network, where our layers leave channels_last
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_(training)
    wanted = [tensor for tensor in (x, weight, bias) if tensor.requires_grad]

    def call(implementation: str) -> Callable[[], Any]:
        def forward() -> Tensor:
            return conv_relu_maxpool(
                x, weight, bias, **layer.options, implementation=implementation
            )

        if not training:
            return forward
        grad_y = torch.randn_like(forward())
        return lambda: torch.autograd.grad(forward(), wanted, grad_y)

    calls = {name: call(name) for name in ("native", "reference")}
    counts = {name: _fill(each, turn) for name, each in calls.items()}
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, each in calls.items():
            each()  # not timed: it brings the caches back
            start = clock()
            for _ in range(counts[name]):
                each()
            seconds[name].append((clock() - start) / counts[name])
    native, reference = (min(seconds[name]) * 1e6 for name in calls)
    name = str(dtype).removeprefix("torch.")
    return Measurement(_bucket(layer, training), round(native, 1), round(reference, 1), name)


def write_table(path: str | Path, measurements: Iterable[Measurement]) -> None:
    """Write what was measured, merged into the table that is at ``path`` already.

    Raises:
        CnnzooError: the file is a table of another instruction set or dtype, or no table; or what
            was measured is of several dtypes.
    """
    path, measurements = Path(path), list(measurements)
    dtypes = {each.dtype for each in measurements} or {"float32"}
    if len(dtypes) > 1:
        raise CnnzooError(f"{path}: a table is of one dtype, got {', '.join(sorted(dtypes))}.")
    (dtype,) = dtypes
    isa = _native.kernels_for(dtype)
    table: dict[str, Any] = {"isa": isa, "dtype": dtype, "choices": {}, "measured_us": {}}
    if path.exists():
        table = _tables.read_table(path)
        found = (table.get("isa"), table.setdefault("dtype", "float32"))
        if found != (isa, dtype):
            raise CnnzooError(
                f"{path} is a table for {' in '.join(map(str, found))}, this is {isa} in {dtype}."
            )
    for each in measurements:
        table["choices"][each.bucket] = each.choice
        table["measured_us"][each.bucket] = [each.native_us, each.reference_us]
    table |= {
        "machine": cpu_model(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    for part in ("choices", "measured_us"):
        table[part] = dict(sorted(table[part].items()))
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(table, indent=1) + "\n")


def _bucket(layer: Layer, training: bool) -> str:
    o = layer.options
    window = _geometry.window(
        o.get("stride", 1),
        o.get("padding", 0),
        o.get("pool_size", 2),
        o.get("pool_stride"),
        o.get("pool_padding", 0),
    )
    return _choice.bucket(
        _choice.Problem(layer.x, layer.weight, window, (1, 1), 1, torch.float32, "cpu", training)
    )


def _fill(call: Callable[[], Any], turn: float) -> int:
    """Warm up, and count the calls that fill a turn."""
    call()
    start = time.perf_counter()
    call()
    return max(1, min(1000, round(turn / max(time.perf_counter() - start, 1e-7))))
