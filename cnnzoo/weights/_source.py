"""Where weights come from: a name, a path or an address becomes a file that has been checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cnnzoo.errors import CnnzooError
from cnnzoo.weights._cards import Card, find_cards, verify

DEFAULT_MODEL = "mnist_cnn"  # of several that were trained on the same data


@dataclass(frozen=True)
class Source:
    """A file of weights.

    Attributes:
        path: where it lies; a run folder is possible.
        whose: how a sentence about it begins.
        card: of bundled weights.
    """

    path: Path
    whose: str
    card: Card | None = None


def find(weights: str | os.PathLike[str], model: str | None = None) -> Source:
    """Find a file of weights and check its hash, where one is known.

    Args:
        weights: name of bundled weights or of their data; the path of a .safetensors file or a run
            folder; or an address with a hash (`cnnzoo.weights._download.fetch`).
        model: the registered model that is asked for; ``None``: whichever they are of.

    Raises:
        CnnzooError: there are no such weights, or the hash is another.
    """
    if isinstance(weights, os.PathLike):
        return _from_path(Path(weights))
    if not isinstance(weights, str) or not weights:
        raise CnnzooError(
            "weights= takes a name (`cnnzoo weights` lists them), a path or an address; got "
            f"{weights!r:.60}."
        )
    if "://" in weights:
        from cnnzoo.weights._download import fetch

        return Source(fetch(weights), f"The weights from {weights.partition('#')[0]}")
    if weights.endswith(".safetensors") or "/" in weights or os.sep in weights:
        return _from_path(Path(weights))
    try:
        card = _choose(find_cards(weights, model))
    except CnnzooError:
        if os.path.exists(weights):  # a run folder in the current one
            return _from_path(Path(weights))
        raise
    verify(card)
    return Source(card.file, f'The weights "{card.name}"', card)


def _from_path(path: Path) -> Source:
    return Source(path, f"The weights in {path}")


def _choose(cards: list[Card]) -> Card:
    if len(cards) == 1:
        return cards[0]
    for card in cards:
        if card.model == DEFAULT_MODEL:
            return card
    names = ", ".join(card.model for card in cards)
    raise CnnzooError(f"Say which model: {names} have weights of that name.")
