"""Where two states part: the first place at which they are not the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def first_difference(one: Any, other: Any, place: str = "") -> str | None:
    """Return a sentence about the first difference, or ``None``.

    Args:
        one: nested dictionaries and lists of tensors, numbers and strings, such as a checkpoint.
        other: likewise.
        place: where in the whole they stand.

    Tensors are the same where shape, dtype and every bit are, so NaN equals itself and 0.0 is not
    -0.0. Entries called ``seconds`` are nobody's business.

    >>> first_difference({"epoch": 1, "seconds": 3.0}, {"epoch": 1, "seconds": 4.0}) is None
    True
    >>> first_difference({"a": [1, 2]}, {"a": [1, 3]})
    'a.1: 2 and 3'
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return _first_in_mapping(one, other, place)
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return _first_in_tensor(one, other, place)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return f"{place}: {len(one)} and {len(other)} entries"
        pairs = (
            first_difference(a, b, _within(place, index))
            for index, (a, b) in enumerate(zip(one, other, strict=True))
        )
        return next((found for found in pairs if found), None)
    same = type(one) is type(other) and one == other
    return None if same else f"{place or 'the whole'}: {one!r} and {other!r}"


def _first_in_mapping(one: Mapping[Any, Any], other: Mapping[Any, Any], place: str) -> str | None:
    for key in (*one, *other):
        if key == "seconds":
            continue
        if key not in one or key not in other:
            return f"{_within(place, key)}: only one has it"
        if found := first_difference(one[key], other[key], _within(place, key)):
            return found
    return None


def _first_in_tensor(one: Tensor, other: Tensor, place: str) -> str | None:
    facts = [(tuple(each.shape), each.dtype) for each in (one, other)]
    if facts[0] != facts[1]:
        return f"{place}: {facts[0]} and {facts[1]}"
    flat = [each.detach().cpu().contiguous().reshape(-1) for each in (one, other)]
    octets = [each.view(torch.uint8).reshape(len(each), -1) for each in flat]
    differ = (octets[0] != octets[1]).any(1)
    if not differ.any():
        return None
    gap = (flat[0].double() - flat[1].double()).abs().max().item()
    return f"{place}: {int(differ.sum())} of {len(differ)} values, by up to {gap:.3g}"


def _within(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)
