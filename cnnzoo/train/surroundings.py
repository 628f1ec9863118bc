"""What else the bits of a run depend on: versions, processor, threads, chosen implementations.

Everything is numbers, strings and lists of them, so that it can be kept as JSON and compared.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from cnnzoo.machine import cpu_model

if TYPE_CHECKING:
    from cnnzoo.train.trainer import Trainer

# Variables of others that choose among kernels, and thereby the last bits.
_CHOOSE_KERNELS = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
)


def surroundings(trainer: Trainer) -> dict[str, Any]:
    """Return versions, machine, threads and environment of this process."""
    device = str(trainer.device)
    if trainer.device.type == "cuda":
        device += f" ({torch.cuda.get_device_name(trainer.device)})"
    return {
        "python": platform.python_version(),
        "cnnzoo": importlib.metadata.version("cnnzoo"),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "cpu": cpu_model(),
        "torch's instruction set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device,
        "processes": trainer.processes.world,
        "environment": {
            name: os.environ[name]
            for name in sorted(os.environ)
            if name.startswith("CNNZOO_") or name in _CHOOSE_KERNELS
        },
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in what two `surroundings` differ, a clause each.

    >>> differences({"threads": 2, "torch": "2.10"}, {"threads": 1, "torch": "2.10"})
    ['threads was 2 and is 1']
    """
    return [
        f"{key} was {then[key]} and is {now[key]}"
        for key in then
        if key in now and then[key] != now[key]
    ]


class LayerWatch:
    """Asks each layer that can `explain` itself who runs it, when the first batch comes by.

    So the trainer knows what ran without knowing what a layer is. The question is asked once; then
    the hooks are gone. A compiled model is not watched: hooks would change what is compiled.

    Attributes:
        found: name of the layer → implementation, with its instruction set.
    """

    def __init__(self, model: nn.Module) -> None:
        self.found: dict[str, str] = {}
        self._handles = [
            module.register_forward_pre_hook(self._asking(name))
            for name, module in model.named_modules()
            if callable(getattr(module, "explain", None))
        ]

    def _asking(self, name: str) -> Any:
        def ask(module: Any, inputs: tuple[Any, ...]) -> None:
            if name not in self.found:
                choice = module.explain(*inputs)
                isa = getattr(choice, "isa", None)
                self.found[name] = choice.implementation + (f" ({isa})" if isa else "")

        return ask

    def stop(self) -> None:
        """Ask no more."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
