"""The state of a run as one file that holds tensors, numbers and strings, and no code.

Written whole or not at all (`cnnzoo.files.atomic_write`), read with ``weights_only=True``.
"""

from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write

_FORMAT = "cnnzoo checkpoint 1"


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` (nested dictionaries and lists of tensors, numbers, strings) atomically.

    Raises:
        CnnzooError: the disk is full or the place cannot be written; the old file is intact.
    """
    # An open file, not a path: given a path, torch's own writer does not say that the disk is full.
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        torch.save({"format": _FORMAT, **state}, file)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        CnnzooError: the file is missing, truncated, or was not written by cnnzoo.
    """
    path = Path(path)
    if not path.is_file():
        raise CnnzooError(f"No checkpoint at {path}: is this the folder of a run?")
    try:
        if not zipfile.is_zipfile(path):  # torch.save writes one; older formats are not tried
            raise zipfile.BadZipFile("it is no zip archive")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged stream makes torch's reader raise almost anything
        reason = str(error).partition("\n")[0]
        raise CnnzooError(
            f"{path} is no readable checkpoint: it is truncated, or holds something other than "
            f"tensors, numbers and strings ({reason})."
        ) from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise CnnzooError(f"{path} was not written by this version of cnnzoo (no {_FORMAT!r}).")
    return state


def seed_generators(seed: int) -> None:
    """Seed every global generator that a model or a data set's transforms may draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)  # of every device


def random_state() -> dict[str, Any]:
    """Return the state of every random generator a run may draw from."""
    numpy: dict[str, Any] = dict(np.random.get_state(legacy=False))
    keys = torch.from_numpy(numpy["state"]["key"].astype(np.int64))
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "python": list(random.getstate()),
        "numpy": {**numpy, "state": {**numpy["state"], "key": keys}},
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put every generator where `random_state` found it."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    numpy = state["numpy"]
    keys = numpy["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": keys}})
