"""A model cut into pieces, one a process, for models that outgrow one device (torch's FSDP2).

Outside of the loop everything stays whole: the model a caller handed in, the checkpoint and the
model file hold ordinary tensors, so that a run can go on with another number of processes, or
without pieces.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

if TYPE_CHECKING:
    from cnnzoo.train.averaging import Average


class Pieces:
    """Cuts a model, and its average, of which each process then keeps a piece on its device.

    Args:
        model: the whole, on the CPU; `gather` keeps it up to date.
        trained: a copy of it, which is cut.
        average: its averaged weights, which are cut too.
        device: where the pieces go.

    Attributes:
        whole_average: a model with the whole averaged weights, if there are any.
    """

    def __init__(
        self, model: nn.Module, trained: nn.Module, average: Average | None, device: torch.device
    ) -> None:
        self._pairs, self._average = [(model, trained)], average
        self.whole_average = copy.deepcopy(model) if average else None
        if average and self.whole_average:
            self._pairs.append((self.whole_average, average.model))
        mesh = init_device_mesh(device.type, (dist.get_world_size(),))
        for _, pieces in self._pairs:
            # Layer by layer: the device holds its pieces and a whole layer at a time.
            for layer in _layers(pieces):
                fully_shard(layer, mesh=mesh)
            fully_shard(pieces, mesh=mesh)

    def gather(self) -> None:
        """Bring the whole models up to date, in every process."""
        for model, pieces in self._pairs:
            model.load_state_dict(self.whole(pieces.state_dict()))

    def scatter(self) -> None:
        """Take over the weights of the whole models."""
        for model, pieces in self._pairs:
            _load(pieces, model.state_dict())

    def whole(self, state: Any) -> Any:
        """Return a state dict with ordinary tensors on the CPU in place of pieces."""
        if isinstance(state, DTensor):
            return state.full_tensor().cpu()
        if isinstance(state, Mapping):
            return {key: self.whole(value) for key, value in state.items()}
        if isinstance(state, list):
            return [self.whole(value) for value in state]
        return state

    def load(self, state: Mapping[str, Any], optimizer: Optimizer) -> None:
        """Take over weights, average and optimizer from a checkpoint, which holds them whole."""
        _load(self._pairs[0][1], state["model"])
        if self._average and state["average"]:
            _load(self._average, state["average"])
        optimizer.load_state_dict(state["optimizer"])
        for parameter, values in optimizer.state.items():
            for key, value in values.items():
                values[key] = _piece_of(value, parameter)
        self.gather()


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the parts of a model that are called and have weights."""
    for child in model.children():
        if isinstance(child, nn.ModuleList | nn.ModuleDict):  # containers that are not called
            yield from _layers(child)
        elif next(child.parameters(), None) is not None:
            yield child


def _piece_of(value: Any, like: Any) -> Any:
    """Return this process's piece of a whole tensor, cut as ``like`` is."""
    if isinstance(like, DTensor) and isinstance(value, Tensor) and value.shape == like.shape:
        value = value.to(like.device, like.dtype)
        return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)
    return value


def _load(thing: Any, state: Mapping[str, Any]) -> None:
    """Load a whole state dict into what holds pieces."""
    like = thing.state_dict()
    thing.load_state_dict({key: _piece_of(value, like.get(key)) for key, value in state.items()})
