"""SHA-256 of weights and of data: what a receipt knows them by."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, in hex, of a ``state_dict``.

    It covers names, dtypes, shapes and values, in the order of the names; not the memory order, the
    device, or what the tensors share. Values count as little-endian bytes, so every machine gets
    the same.

    >>> one = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    >>> other = {"b": torch.ones(1), "a": torch.zeros(3, 2).t()}
    >>> weights_hash(one) == weights_hash(other)
    True
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        head = [name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        digest.update(json.dumps(head).encode())
        octets = tensor.reshape(-1).view(torch.uint8)
        if sys.byteorder == "big":
            octets = octets.reshape(-1, tensor.element_size()).flip(1).contiguous()
        digest.update(octets.numpy().data)
    return digest.hexdigest()


def data_facts(data: Any) -> dict[str, Any] | None:
    """Return what identifies a data set: ``samples``, ``sha256``, and where it has none, why.

    A data set that has a method ``fingerprint()``, as those of `cnnzoo.load_data` have, is known by
    what that returns; of a ``DataLoader`` its data set counts.
    """
    if data is None:
        return None
    if isinstance(data, DataLoader):
        data = data.dataset
    facts: dict[str, Any] = {"samples": len(data) if hasattr(data, "__len__") else None}
    if hasattr(data, "fingerprint"):
        return facts | {"sha256": str(data.fingerprint())}
    return facts | {"sha256": None, "reason": f"{type(data).__name__} has no fingerprint()."}


def data_change(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str | None:
    """Say in what two `data_facts` differ; ``None`` where nothing is known to."""
    if then is None or now is None:
        return None
    if then["samples"] != now["samples"]:
        return f"it had {then['samples']} samples and has {now['samples']} now"
    if then["sha256"] and now["sha256"] and then["sha256"] != now["sha256"]:
        return f"its SHA-256 was {then['sha256'][:12]}… and is {now['sha256'][:12]}… now"
    return None
