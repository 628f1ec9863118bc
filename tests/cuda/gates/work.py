"""What kernels do on a layer that people run: how much of their work counts, and their traffic.

Useful multiply-adds are those of positions that a pool window covers, of windows and channels that
exist; for gradients one position a window. The floor of the traffic is every tensor once. What is
counted is what warps ask of global memory, in 32-byte sectors, before any cache.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ptx.host.host import Launchers
from ptx.parser import Kernel
from ptx.wave import SECTOR
from ptx_layers import PASSES, run
from ptx_reference import DTYPES, Layer, problem

from gates.resources import readable

TUTORIAL = Layer(2, 32, 13, 13, 32, layout="nhwc")
FIRST = Layer(2, 1, 28, 28, 32)
STEM = {"kernel": (7, 7), "stride": (2, 2), "padding": (3, 3), "pool": (3, 3),
        "pool_stride": (2, 2), "pool_padding": (1, 1)}  # fmt: skip
OVERLAPPING = {"padding": (1, 1), "pool": (3, 3), "pool_stride": (2, 2)}
# The gradients are measured on the layer where most of their time goes.
LAYERS: dict[str, tuple[Layer, tuple[str, ...]]] = {
    "tutorial conv1": (FIRST, ("forward",)),
    "tutorial conv2": (TUTORIAL, PASSES),
    "resnet stem, 32 px": (Layer(1, 3, 32, 32, 32, **STEM), ("forward",)),
    "alexnet conv5, 13 px": (Layer(1, 32, 13, 13, 32, layout="nhwc", **OVERLAPPING), ("forward",)),
    "lenet conv1": (Layer(2, 1, 28, 28, 6, kernel=(5, 5), padding=(2, 2)), ("forward",)),
}


@dataclass(frozen=True)
class Work:
    """One launch.

    Attributes:
        layer: its name.
        kernel: mangled.
        threads: of a block.
        shared: dynamic, bytes of a block.
        useful, executed: multiply-adds; executed is 0 for kernels that only add.
        moved, floor: bytes.
    """

    layer: str
    kernel: str
    threads: int
    shared: int
    useful: int
    executed: int
    moved: int
    floor: int


class _Recording(Launchers):
    """Keeps the shape of each launch."""

    shapes: dict[str, tuple[int, int]]

    def _launch(self, name, grid, block, shared, arguments) -> int:
        self.shapes[name.decode()] = block[0] * block[1] * block[2], shared
        return super()._launch(name, grid, block, shared, arguments)


def measure(
    library, kernels: Mapping[str, Kernel], architecture: int,
    layers: Iterable[str] = tuple(LAYERS), dtypes: Iterable[str] = tuple(DTYPES),
) -> list[Work]:  # fmt: skip
    """Every kernel's work on the first of the layers that takes it."""
    found: dict[str, Work] = {}
    for name in layers:
        layer, passes = LAYERS[name]
        for dtype in dtypes:
            for tf32 in (True, False) if dtype == "float32" else (False,):
                launchers = _Recording(library, kernels, architecture)
                launchers.shapes = {}
                once = passes if tf32 or dtype != "float32" else ("forward",)
                run(launchers, problem(layer, dtype, "integers"), tf32, once)
                for kernel, shape in launchers.shapes.items():
                    if kernel not in found:
                        found[kernel] = _work(name, dtype, kernel, shape, launchers)
    return list(found.values())


def _work(name: str, dtype: str, kernel: str, shape: tuple[int, int], launchers: Launchers) -> Work:
    layer, short = LAYERS[name][0], readable(kernel)
    executed = multiply_adds(launchers.lanes[kernel])
    moved = SECTOR * launchers.sectors[kernel].total()
    item = DTYPES[dtype].itemsize
    x = layer.n * layer.c * layer.h * layer.w
    weights = layer.k * layer.c * layer.kernel[0] * layer.kernel[1]
    outputs = layer.n * layer.k * layer.pooled[0] * layer.pooled[1]
    floor = item * (x + weights + outputs) + outputs  # and a place each
    if "reduce" in short:
        floor = item * (weights + layer.k)
    return Work(name, kernel, *shape, useful(layer, short), executed, moved, floor)


def useful(layer: Layer, kernel: str) -> int:
    """Multiply-adds that the answer needs; none to add up partial sums."""
    if "reduce" in kernel:
        return 0
    taps = layer.c * layer.kernel[0] * layer.kernel[1]
    if kernel.startswith("forward"):
        return layer.n * layer.k * _covered(layer) * taps
    return layer.n * layer.k * layer.pooled[0] * layer.pooled[1] * taps


def multiply_adds(lanes: Counter[str]) -> int:
    """Of the instructions that a launch executed."""
    total = 0
    for name, count in lanes.items():
        if name.startswith("fma."):
            total += count
        elif match := re.match(r"mma\.sync\.aligned\.m(\d+)n(\d+)k(\d+)\.", name):
            m, n, k = (int(size) for size in match.groups())
            total += count // 32 * m * n * k
    return total


def _covered(layer: Layer) -> int:
    """Positions of the convolution that some pool window covers."""
    total = 1
    for axis in (0, 1):
        starts = [p * layer.pool_stride[axis] - layer.pool_padding[axis]
                  for p in range(layer.pooled[axis])]  # fmt: skip
        inside = {i for s in starts for i in range(s, s + layer.pool[axis])}
        total *= len(inside & set(range(layer.conv[axis])))
    return total
