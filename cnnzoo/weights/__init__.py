"""Trained weights that come with cnnzoo, and weights from anywhere, checked before they are used.

    _cards.py      what is known of each bundled file; its SHA-256 before all
    _source.py     a name, a path or an address → a file that has been checked
    _download.py   an address → a file in the cache, by its SHA-256
    _adapting.py   weights for other channels, classes or image sizes
    _loading.py    a model with these weights

Every pair of files here, ``MODEL-DATA.safetensors`` and ``MODEL-DATA.json``, is one set of weights
and its card. `python -m benchmarks.cards` makes both from run folders (docs/models.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnzoo.lazy import lazy_names
from cnnzoo.weights._cards import Card, find_cards, list_weights, verify

if TYPE_CHECKING:
    from cnnzoo.weights._loading import load_weights as load_weights

__all__ = ["Card", "find_cards", "list_weights", "load_weights", "verify"]

_find = lazy_names(__name__, {"load_weights": "cnnzoo.weights._loading"})  # loads torch


def __getattr__(name: str) -> Any:
    return _find(name)
