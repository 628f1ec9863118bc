"""Where to train."""

from __future__ import annotations

import torch

from cnnzoo.errors import CnnzooError


def pick_device(name: str) -> torch.device:
    """Return the device called ``name``; ``"auto"``: CUDA, else Apple's MPS, else the CPU.

    Raises:
        CnnzooError: no such device, or it is not there.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise CnnzooError(f'No device "{name}" here ({reason}). Try "auto" or "cpu".') from None
    return device
