"""Stages of a frozen run: where their weights lie, and how they are read out and folded.

A stage names slots, the places in modules where its tensors hang, and not the tensors: so a
parameter that was replaced is found, and each call can ask whether anything has changed.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnnzoo.ops import _frozen

_VERSION, _POINTER = operator.attrgetter("_version"), Tensor.data_ptr  # quickest through map
Slot = tuple[dict[str, Any], str]  # parameters or buffers of a module, and a name in it


def slots_of(*modules: nn.Module | None) -> list[Slot]:
    """Where the tensors of the modules hang, those that are None left out."""
    return [
        (home, name)
        for module in modules
        if module is not None
        for home in (module._parameters, module._buffers)
        for name, tensor in home.items()
        if tensor is not None and tensor.is_floating_point()
    ]


def factor_and_summand(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A trained batch norm as y = x * factor + summand, one of each for a channel, in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        factor = factor * norm.weight.detach().double()
    summand = -norm.running_mean.double() * factor
    if norm.bias is not None:
        summand = summand + norm.bias.detach().double()
    return factor, summand


@dataclass(frozen=True)
class ConvolutionStage:
    """A convolution, a batch norm after it if there is one, ReLU and max-pool."""

    conv: Any  # nn.Conv2d or ConvReluMaxPool: weight and bias
    norm: nn.BatchNorm2d | None
    image: tuple[int, int]
    window: tuple[int, ...]

    def slots(self) -> list[Slot]:
        """Where its tensors hang."""
        return slots_of(self.conv, self.norm)

    def read(self) -> _frozen.Stage:
        """The stage with its present weights."""
        weight, bias = self.conv.weight.detach(), self.conv.bias
        bias = None if bias is None else bias.detach()
        if self.norm is not None:
            factor, summand = factor_and_summand(self.norm)
            weight = (weight.double() * factor[:, None, None, None]).float()
            bias = (summand if bias is None else bias.double() * factor + summand).float()
        return _frozen.Convolution(weight, bias, self.image, self.window)


@dataclass(frozen=True)
class LinearStage:
    """A linear layer and its ReLU; ``maps``: (C, P, Q) that were flattened into its input."""

    linear: nn.Linear
    relu: bool
    maps: tuple[int, int, int] | None

    def slots(self) -> list[Slot]:
        """Where its tensors hang."""
        return slots_of(self.linear)

    def read(self) -> _frozen.Stage:
        """The stage with its present weights, in the order in which its input lies in memory."""
        weight = self.linear.weight.detach()
        if self.maps is not None:
            weight = weight.unflatten(1, self.maps).permute(0, 2, 3, 1).flatten(1)
        return _frozen.Linear(weight, self.linear.bias, self.relu)


@dataclass(frozen=True)
class ScaleStage:
    """A batch norm behind a max-pool, where it cannot be folded into the convolution."""

    norm: nn.BatchNorm2d
    image: tuple[int, int]

    def slots(self) -> list[Slot]:
        """Where its tensors hang."""
        return slots_of(self.norm)

    def read(self) -> _frozen.Stage:
        """The stage with its present weights."""
        factor, summand = factor_and_summand(self.norm)
        return _frozen.Scale(factor.float(), summand.float(), self.image)


Stage = ConvolutionStage | LinearStage | ScaleStage


class Run:
    """A run of stages: packs them when it has to, and calls the operator.

    Args:
        stages: in order.
        out: shape of the output without the batch.
        dtype: of the input and of the output.
    """

    def __init__(self, stages: Sequence[Stage], out: Sequence[int], dtype: torch.dtype) -> None:
        self.stages = tuple(stages)
        self.out = list(out)
        self.dtype = dtype
        slots = [slot for stage in self.stages for slot in stage.slots()]
        self.homes, self.names = [home for home, _ in slots], [name for _, name in slots]
        self.pack()

    def tensors(self) -> list[Tensor]:
        """The tensors that hang in the slots now."""
        return list(map(operator.getitem, self.homes, self.names))

    def pack(self) -> None:
        """Read the weights as they are now."""
        tensors = self.tensors()
        # Views keep the memory from being freed, and so from coming back with other weights in it.
        self.held = [tensor.detach() for tensor in tensors]
        self.versions = list(map(_VERSION, tensors))
        self.pointers = list(map(_POINTER, tensors))
        self.generation = _frozen.Generation.now
        with torch.no_grad():
            inside = _frozen.computes_in(self.dtype)
            self.packed, self.plan = _frozen.pack([each.read() for each in self.stages], inside)
        self.widens = inside is not self.dtype

    def is_current(self) -> bool:
        """Whether no tensor was changed or replaced since, as far as torch counts changes."""
        tensors = self.tensors()
        return (
            list(map(_VERSION, tensors)) == self.versions
            and list(map(_POINTER, tensors)) == self.pointers
            and self.generation == _frozen.Generation.now
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) or (N, in) to (N, *out)."""
        if not self.is_current():
            self.pack()
        if self.widens:
            return _frozen.RUN(x.float(), self.packed, self.plan, self.out).to(self.dtype)
        return _frozen.RUN(x, self.packed, self.plan, self.out)
