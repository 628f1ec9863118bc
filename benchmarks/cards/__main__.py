"""The commands; see the top of the package."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import click
import torch

from benchmarks.cards import table
from benchmarks.cards.bundling import bundle as bundle_runs
from benchmarks.cards.checking import all_facts, stale
from benchmarks.cards.facts import facts_of
from benchmarks.cards.speed import measure
from cnnzoo.errors import CnnzooError
from cnnzoo.model_file import read_model_file
from cnnzoo.weights import Card, list_weights
from cnnzoo.weights._cards import write_card


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Write the cards of the bundled weights and the table of models: facts, then times."""
    if context.invoked_subcommand is None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
        cards = refresh(list_weights())
        speeds = measure(cards)
        for card in cards:
            write_card(dataclasses.replace(card, speed=speeds[card.name]))
            times = ", ".join(f"{key} {speeds[card.name][key]}" for key in _FIGURES)
            click.echo(f"{card.name}: {times} on {speeds[card.name]['cpu']}")
        write_table()


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
def bundle(runs: tuple[Path, ...]) -> None:
    """Bundle the weights of RUNS: several seeds of a model on a data set make one card."""
    for card in bundle_runs(runs):
        click.echo(f"{card.name}: {card.accuracy_in_words}, {card.weights['bytes']:,} bytes")
    write_table()


@main.command()
def facts() -> None:
    """Write what does not depend on the machine; times stay as they are."""
    for card in refresh(list_weights()):
        write_card(card)
    write_table()


@main.command()
def check() -> None:
    """Say what is stale."""
    found = stale()
    for sentence in found:
        click.echo(sentence, err=True)
    if found:
        sys.exit(1)
    click.echo(f"{len(list_weights())} cards and the table of models are up to date.")


_FIGURES = ("training_us", "inference_us")


def refresh(cards: list[Card]) -> list[Card]:
    """Count anew what can be counted; weights and recipe belong to the training, and stay."""
    found = []
    for card in cards:
        now = facts_of(read_model_file(card.file).spec)
        same = {key: getattr(now, key) for key in ("parameters", "macs", "smallest_input")}
        found.append(dataclasses.replace(card, **same))
    return found


def write_table() -> None:
    """Write the tables in docs/models.md."""
    table.write(table.tables(all_facts(), list_weights()))


if __name__ == "__main__":
    try:
        main()
    except CnnzooError as error:
        sys.exit(f"Error: {error}")
