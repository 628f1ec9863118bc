"""What a block keeps for backward: the bytes that autograd saves, each storage once.

Input, output, weight and bias are left out: whoever computes the block, they stay, as the layers
before and after need them. What remains is what the block itself makes last longer: our place
bytes, eager's ReLU output and int64 indices.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks import answers, blocks
from benchmarks.results import Case
from benchmarks.workloads import Layer
from cnnzoo.errors import CnnzooError

SECTION = "memory"
NAMES = ("native", "auto", blocks.EAGER, "channels_last")


def measure(layers: Sequence[Layer]) -> list[Case]:
    """Count for each layer."""
    cases = []
    for layer in layers:
        problem = answers.unjudged(layer)
        case = Case(SECTION, layer.name, "kept for backward", layer.batch, unit="bytes")
        for name in NAMES:
            try:
                case.turns[name] = [float(kept(blocks.WAYS[name], problem))]
            except CnnzooError as error:
                case.skipped[name] = str(error)
        cases.append(case)
    return cases


def kept(way: blocks.Way, problem: answers.Problem) -> int:
    """Bytes kept by one forward pass of ``way``."""
    saved: dict[int, int] = {}
    seen: list[torch.Tensor] = []  # alive until the end, so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        seen.append(tensor)
        return tensor

    call, inputs = blocks.prepare(way, problem, blocks.TRAINING)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y, *_ = call()
    for tensor in (*inputs, y):
        saved.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(saved.values())
