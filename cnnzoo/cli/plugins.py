"""``cnnzoo plugins``: packages that add to the zoo, and why one failed."""

from __future__ import annotations

import dataclasses

import click

from cnnzoo.cli._output import json_option, print_json, print_table

_EXAMPLES = """\b
Examples:
  cnnzoo plugins
  cnnzoo plugins --json
"""


@click.command(epilog=_EXAMPLES)
@json_option
def command(as_json: bool) -> None:
    """List installed plugins, what each gives, and the traceback of one that failed to load."""
    from cnnzoo.plugins import load_plugins
    from cnnzoo.registry import datasets, layers, models

    found = load_plugins()
    gives = {
        plugin.name: [
            n for shelf in (models, layers, datasets) for n in shelf.names(f"{plugin.name}:*")
        ]
        for plugin in found
    }
    if as_json:
        print_json([{**dataclasses.asdict(each), "gives": gives[each.name]} for each in found])
        return
    if not found:
        click.echo('No plugins: no installed package has an entry point in "cnnzoo.plugins".')
        return
    print_table(
        ["plugin", "package", "version", "gives"],
        [
            (
                p.name,
                p.distribution,
                p.version,
                "failed to load" if p.error else ", ".join(gives[p.name]),
            )
            for p in found
        ],
    )
    for plugin in found:
        if plugin.error:
            click.echo(f"{plugin.name} ({plugin.module}) failed to load:\n{plugin.error}")
