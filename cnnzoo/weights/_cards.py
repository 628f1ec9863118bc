"""The cards of the bundled weights: what each file is, by whom it was made, how good it is.

A card is a JSON file beside its weights. Nothing in it is typed by hand: `python -m
benchmarks.cards` writes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnzoo.errors import CnnzooError, did_you_mean
from cnnzoo.files import atomic_write

FOLDER = Path(__file__).parent
FORMAT = "cnnzoo card 1"


@dataclass(frozen=True)
class Card:
    """What is known of one set of bundled weights.

    Attributes:
        name: ``MODEL-DATA``, and the name of its files.
        model: the registered model it is of.
        data: ``name`` of the data set it was trained on; ``train`` and ``test``, each with
            ``samples`` and ``sha256``.
        recipe: ``name`` of the recipe, and the ``sha256`` of its settings then.
        accuracy: ``mean`` and ``deviation`` (sample standard deviation) of the test accuracy over
            ``seeds``, 0-1; and that of each seed.
        weights: ``seed`` of the bundled run, ``sha256`` and ``bytes`` of the file.
        trained: versions and machine of the bundled run.
        parameters: how many.
        macs: multiply-adds of one image.
        smallest_input: height and width in pixels of the smallest image the model can be built for.
        speed: µs an image and the machine they were measured on; ``None``: not measured yet.
    """

    name: str
    model: str
    data: dict[str, Any]
    recipe: dict[str, str]
    accuracy: dict[str, Any]
    weights: dict[str, Any]
    trained: dict[str, Any]
    parameters: int
    macs: int
    smallest_input: int
    speed: dict[str, Any] | None = None

    @property
    def file(self) -> Path:
        """Where the weights lie."""
        return FOLDER / f"{self.name}.safetensors"

    @property
    def accuracy_in_words(self) -> str:
        """Test accuracy over the seeds: mean ± standard deviation, in percent."""
        mean, deviation = 100 * self.accuracy["mean"], 100 * self.accuracy["deviation"]
        several = f" ± {deviation:.2f}" if len(self.accuracy["seeds"]) > 1 else ""
        return f"{mean:.2f}{several} %"

    @property
    def where_from(self) -> str:
        """How they were trained, in words."""
        return f"recipe {self.recipe['name']}, seed {self.weights['seed']}"

    def to_json(self) -> dict[str, Any]:
        """Return what the card's file holds."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read a card.

        Raises:
            CnnzooError: the file is no card.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") != FORMAT:
                raise ValueError(f"its format is not {FORMAT!r}")
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CnnzooError(
                f"{path} is no card of weights ({error}). Install cnnzoo again."
            ) from None


def list_weights() -> list[Card]:
    """Return the cards of all bundled weights, in alphabetical order.

    >>> [card.name for card in list_weights()][0]
    'fashion_cnn-fashion_mnist'
    """
    return read_cards(FOLDER)


def read_cards(folder: Path) -> list[Card]:
    """Return the cards in a folder, in alphabetical order."""
    return [Card.read(path) for path in sorted(folder.glob("*.json"))]


def write_card(card: Card, folder: Path = FOLDER) -> None:
    """Write a card beside its weights."""
    with atomic_write(folder / f"{card.name}.json") as temporary:
        temporary.write_text(json.dumps(card.to_json(), indent=2) + "\n", encoding="utf-8")


def find_cards(name: str, model: str | None = None) -> list[Card]:
    """Return the cards that ``name`` means.

    Args:
        name: of weights (``"mnist_cnn-mnist"``), or of the data they were trained on
            (``"mnist"``); case is folded.
        model: only those of this model.

    Raises:
        CnnzooError: there are none; the nearest name is suggested.

    >>> find_cards("mnist", "lenet5")[0].name
    'lenet5-mnist'
    """
    cards, wanted = list_weights(), name.casefold()
    found = [card for card in cards if wanted in (card.name, card.data["name"])]
    if not found:
        known = sorted({word for card in cards for word in (card.data["name"], card.name)})
        raise CnnzooError(
            f'Unknown weights "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}; '
            "or give a path that ends in .safetensors, or an address."
        )
    own = [card for card in found if model in (None, card.model)]
    if not own:
        raise CnnzooError(
            f'There are no weights "{name}" of "{model}", only of {_models(found)}. '
            "Train some: `cnnzoo train`."
        )
    return own


def verify(card: Card) -> None:
    """Compare the file of bundled weights with its card.

    Raises:
        CnnzooError: the file is missing, or its SHA-256 is another.
    """
    if not card.file.is_file():
        raise CnnzooError(f"The weights {card.file} are missing. Install cnnzoo again.")
    found = sha256_of(card.file)
    if found != card.weights["sha256"]:
        raise CnnzooError(
            f"{card.file} is not the file that was bundled: its SHA-256 is {found[:12]}…, "
            f"expected {card.weights['sha256'][:12]}…. Install cnnzoo again."
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _models(cards: Sequence[Card]) -> str:
    return ", ".join(sorted({card.model for card in cards}))
