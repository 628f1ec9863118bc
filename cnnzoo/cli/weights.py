"""``cnnzoo weights``: the trained weights that come with cnnzoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnnzoo.cli._output import json_option, print_json, print_table

if TYPE_CHECKING:
    from cnnzoo.weights import Card

_EXAMPLES = """\b
Examples:
  cnnzoo weights
  cnnzoo weights mnist
  cnnzoo weights mnist_cnn-mnist --verify
  cnnzoo predict --weights mnist photo.png --autofix
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name", required=False)
@click.option("--verify", "verified", is_flag=True, help="Compare the files with their SHA-256.")
@json_option
def command(name: str | None, verified: bool, as_json: bool) -> None:
    """List the bundled weights, or those called NAME (or trained on the data NAME)."""
    from cnnzoo.weights import find_cards, list_weights, verify

    cards = find_cards(name) if name else list_weights()
    if verified:
        for card in cards:
            verify(card)
    if as_json:
        print_json([card.to_json() for card in cards])
        return
    print_table(
        ["name", "data", "test accuracy", "bytes", "SHA-256", "trained by"],
        [_row(card) for card in cards],
    )
    if name:
        for card in cards:
            click.echo(f'{card.name}: cnnzoo.build("{card.model}", weights="{card.data["name"]}")')
            click.echo(f"  SHA-256 {card.weights['sha256']}")
    if verified:
        click.echo("Every file has the SHA-256 of its card.")


def _row(card: Card) -> tuple[object, ...]:
    return (
        card.name,
        card.data["name"],
        card.accuracy_in_words,
        f"{card.weights['bytes']:,}",
        f"{card.weights['sha256'][:12]}…",
        card.where_from,
    )
