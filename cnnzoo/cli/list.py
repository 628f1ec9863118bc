"""``cnnzoo list``: what there is."""

from __future__ import annotations

import click

from cnnzoo.cli._output import json_option, print_json, print_table

_EXAMPLES = """\b
Examples:
  cnnzoo list
  cnnzoo list "*cnn*"
  cnnzoo list "tv:*"
  cnnzoo list --kind data
"""


@click.command(epilog=_EXAMPLES)
@click.argument("pattern", default="*")
@click.option(
    "--kind",
    type=click.Choice(["models", "layers", "data"]),
    default="models",
    show_default=True,
    help="What to list.",
)
@json_option
def command(pattern: str, kind: str, as_json: bool) -> None:
    """List models, layers or data sets whose name matches PATTERN (*, ?, […])."""
    from cnnzoo import registry

    shelf: registry.Registry = {
        "models": registry.models,
        "layers": registry.layers,
        "data": registry.datasets,
    }[kind]
    entries = [shelf.info(name) for name in shelf.names(pattern)]
    if as_json:
        print_json([{"name": e.name, "aliases": e.aliases, "summary": e.summary} for e in entries])
    elif entries:
        print_table(
            ["name", "also called", "what it is"],
            [(e.name, ", ".join(e.aliases), e.summary) for e in entries],
        )
    else:
        click.echo(f'No {shelf.kind} matches "{pattern}".')
    if shelf.bridges and ":" not in pattern and not as_json:
        others = ", ".join(f'"{prefix}:*"' for prefix in shelf.bridges)
        click.echo(f"Other libraries' {kind} are listed by their prefix: {others}.")
