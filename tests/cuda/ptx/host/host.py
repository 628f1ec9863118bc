"""The launchers of csrc/cuda on an emulated device: their launches run the kernels' PTX.

The library is compiled by `gates.build`; addresses are those of `ptx.Device`, numbers to it.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ptx.device import LANES, Device
from ptx.parser import Kernel

FAILED = 719  # cudaErrorLaunchFailure
TYPES = {"float32": 0, "bfloat16": 1, "float16": 2}
_ON_LAUNCH = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_uint),
    ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p),
)  # fmt: skip


class Launchers:
    """The host code, its launches executed.

    Args:
        library: the shared library.
        kernels: name → kernel, as `ptx.parse` gives them for one architecture.
        capability: of the device that the launchers believe in: 80 for 8.0.

    Attributes:
        launched: name → launches so far.
        lanes, sectors: what they did, as `ptx.wave.Counts` has it, kernel by kernel.
    """

    def __init__(self, library: Path, kernels: Mapping[str, Kernel], capability: int) -> None:
        self.library = ctypes.CDLL(str(library))
        self.library.run_covers.restype = ctypes.c_char_p
        self.library.run_forward_kernel.restype = ctypes.c_char_p
        self.library.run_backward_weight_workspace.restype = ctypes.c_size_t
        self.kernels, self.capability = kernels, capability
        self.launched: Counter[str] = Counter()
        self.lanes: dict[str, Counter[str]] = {}
        self.sectors: dict[str, Counter[str]] = {}
        self._callback = _ON_LAUNCH(self._launch)
        self.start(Device())

    def start(self, device: Device, seed: int = 0, lanes: int = LANES) -> None:
        """Launch on this device from now on, its blocks in this order."""
        self.device, self.seed, self.together = device, seed, lanes
        self._error: Exception | None = None

    def call(self, name: str, *arguments: object) -> int:
        """Call a function of `entry.cpp`.

        Raises:
            Fault: a kernel did what it must not do.
        """
        self.library.set_on_launch(self._callback)
        status = getattr(self.library, name)(*(_argument(each) for each in arguments))
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return status

    def _launch(self, name, grid, block, shared, arguments) -> int:
        kernel = self.kernels[name.decode()]
        params = ctypes.string_at(arguments[0], kernel.params_size)
        try:
            counts = self.device.launch(
                kernel, tuple(grid[:3]), tuple(block[:3]), params, shared, self.seed, self.together
            )
        except Exception as error:  # it must not pass through C
            self._error = error
            return FAILED
        self.launched[kernel.name] += 1
        self.lanes.setdefault(kernel.name, Counter()).update(counts.lanes)
        self.sectors.setdefault(kernel.name, Counter()).update(counts.sectors)
        return 0


def _argument(value: object) -> object:
    if isinstance(value, (tuple, list)):
        return (ctypes.c_int64 * len(value))(*value)
    if isinstance(value, (int, np.integer)):
        return ctypes.c_void_p(int(value)) if value > 1 << 16 else ctypes.c_int(int(value))
    return value
