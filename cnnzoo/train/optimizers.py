"""Optimizers by name: torch's own, fused where torch can, and Muon for kernels.

`momentum` means what the optimizer makes of it, so that one flag serves all:

========  ====================================  ============================  ==============
name      `momentum`                            `weight_decay`                source
========  ====================================  ============================  ==============
sgd       heavy ball, or `nesterov`             L2, added to the gradient     Sutskever 2013
adam      first beta (the second stays 0.999)   L2, added to the gradient     Kingma 2015
adamw     first beta (the second stays 0.999)   decoupled                     Loshchilov 2019
nadam     first beta (the second stays 0.999)   L2, added to the gradient     Dozat 2016
rmsprop   heavy ball on the scaled gradient     L2, added to the gradient     Tieleman 2012
muon      Nesterov's                            none: norms are kept          Jordan 2024
========  ====================================  ============================  ==============

Weight decay goes to every parameter, biases and normalisation included, as torch has it and as the
tutorial does; a run that wants groups hands an optimizer of its own to the trainer. Muon is
`cnnzoo.train.muon`, which takes kernels; torch's own takes matrices only.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cnnzoo.errors import CnnzooError, did_you_mean

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

# Name → module and class, as strings: listing the names must not import torch.
_CLASSES = {
    "sgd": ("torch.optim", "SGD"),
    "adam": ("torch.optim", "Adam"),
    "adamw": ("torch.optim", "AdamW"),
    "nadam": ("torch.optim", "NAdam"),
    "rmsprop": ("torch.optim", "RMSprop"),
    "muon": ("cnnzoo.train.muon", "Muon"),
}
_HEAVY_BALL = {"sgd", "rmsprop"}  # the others take betas


def optimizers() -> tuple[str, ...]:
    """Return the names that `make_optimizer` knows.

    >>> optimizers()
    ('sgd', 'adam', 'adamw', 'nadam', 'rmsprop', 'muon')
    """
    return tuple(_CLASSES)


def make_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Return an optimizer over ``parameters``.

    ``fused=True`` is set where torch has one kernel for the whole step on all their devices and
    dtypes: it halves the step of a small model. Fused and plain steps agree up to rounding.

    Args:
        name: one of `optimizers`.
        parameters: those to be changed.
        lr: base learning rate; schedules multiply it.
        momentum: in [0, 1); see the table of this module.
        nesterov: look ahead; of ``"sgd"`` only.
        weight_decay: at least 0; see the table of this module.

    Raises:
        CnnzooError: the name is unknown, ``nesterov`` cannot be, or there is no parameter.

    >>> import torch
    >>> optimizer = make_optimizer("adamw", torch.nn.Linear(2, 3).parameters(), lr=0.001)
    >>> type(optimizer).__name__, optimizer.defaults["betas"]
    ('AdamW', (0.9, 0.999))
    """
    parameters = list(parameters)
    check_optimizer(name, momentum=momentum, nesterov=nesterov)
    if name == "muon" and weight_decay:
        raise CnnzooError(
            "muon keeps the norm of every weight, so weight_decay would do nothing: leave it out."
        )
    if not parameters:
        raise CnnzooError(
            "There is nothing to train: the model has no parameter, or all are frozen "
            "(requires_grad=False)."
        )
    module, name_there = _CLASSES[name]
    kind: Any = getattr(importlib.import_module(module), name_there)
    if name == "muon":
        return kind(parameters, lr=lr, momentum=momentum)
    arguments: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
    if name in _HEAVY_BALL:
        arguments["momentum"] = momentum
    else:
        arguments["betas"] = (momentum, 0.999)  # torch's default, and the papers'
    if name == "sgd":
        arguments["nesterov"] = nesterov
    if _can_be_fused(kind, parameters):
        arguments["fused"] = True
    return kind(parameters, **arguments)


def check_optimizer(name: str, *, momentum: float, nesterov: bool) -> None:
    """Raise a `CnnzooError` unless `make_optimizer` takes these; imports no torch."""
    if name not in _CLASSES:
        raise CnnzooError(
            f'Unknown optimizer "{name}".{did_you_mean(name, _CLASSES)}'
            f" Known: {', '.join(_CLASSES)}."
        )
    if nesterov and name != "sgd":
        instead = " nadam is Adam's form of it." if name.startswith("adam") else ""
        raise CnnzooError(f"nesterov is a setting of sgd; {name} has none.{instead}")
    if nesterov and momentum == 0:
        raise CnnzooError(
            "nesterov looks ahead along the momentum, which is 0: set momentum, such as 0.9, "
            "or leave nesterov off."
        )


def _can_be_fused(kind: Any, parameters: list[nn.Parameter]) -> bool:
    """Try it: torch lists the devices and types of its fused kernels in private places only.

    One step, on the smallest parameter of each kind of tensor, device and dtype. An optimizer may
    find fault when it is made or in its first step, and FSDP's sharded tensors have fused kernels
    for some optimizers only.
    """
    import torch

    if "fused" not in inspect.signature(kind).parameters:
        return False
    smallest: dict[Any, nn.Parameter] = {}
    for parameter in sorted(parameters, key=lambda p: p.numel(), reverse=True):
        smallest[type(parameter.data), parameter.device, parameter.dtype] = parameter
    for parameter in smallest.values():
        probe = torch.zeros_like(parameter, requires_grad=False)
        probe.grad = torch.zeros_like(probe)
        try:
            kind([probe], lr=0.0, fused=True).step()
        except (RuntimeError, ValueError, TypeError):  # NotImplementedError is a RuntimeError
            return False
    return True
