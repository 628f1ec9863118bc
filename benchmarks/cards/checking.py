"""What of the cards and the table is no longer true, a sentence each."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cards import table
from benchmarks.cards.facts import Facts, facts_of, names_of_models, recipe_hash
from cnnzoo.errors import CnnzooError
from cnnzoo.model_file import read_model_file
from cnnzoo.weights import Card
from cnnzoo.weights._cards import FOLDER, read_cards, sha256_of


def stale(folder: Path = FOLDER, page: Path = table.PAGE) -> list[str]:
    """Compare everything that does not depend on the machine; return what is stale."""
    cards = read_cards(folder)
    found = [sentence for card in cards for sentence in _stale_card(card, folder)]
    orphans = {each.stem for each in folder.glob("*.safetensors")} - {card.name for card in cards}
    found += [
        f"{name}.safetensors has no card: bundle it from its runs." for name in sorted(orphans)
    ]
    if table.read(page) != table.tables(all_facts(), cards):
        found.append(f"{page.name}: the table is not what cards and models say. Run `make cards`.")
    return found


def all_facts() -> dict[str, Facts]:
    """Return the facts of every model of cnnzoo, in the order of `cnnzoo list`."""
    return {name: facts_of(name) for name in names_of_models()}


def _stale_card(card: Card, folder: Path) -> list[str]:
    file = folder / f"{card.name}.safetensors"
    if not file.is_file():
        return [f"{card.name}: its weights are missing. Bundle them from their runs."]
    if sha256_of(file) != card.weights["sha256"]:
        return [f"{card.name}: the weights are not those of the card. Bundle them from their runs."]
    found = []
    try:
        if recipe_hash(card.recipe["name"]) != card.recipe["sha256"]:
            found.append(
                f"{card.name}: the recipe {card.recipe['name']} has changed since. Train again, "
                "and bundle the runs (docs/models.md)."
            )
    except CnnzooError as error:
        found.append(f"{card.name}: {error}")
    now = facts_of(read_model_file(file).spec)
    for key in ("parameters", "macs", "smallest_input"):
        then, is_now = getattr(card, key), getattr(now, key)
        if then != is_now:
            found.append(
                f"{card.name}: {key} is {then:,} on the card and {is_now:,} now. Run `make cards`."
            )
    if card.speed is None:
        found.append(f"{card.name}: it has not been timed. Run `make cards` on a quiet machine.")
    return found
