"""``cnnzoo info``: one model in detail."""

from __future__ import annotations

import inspect

import click

from cnnzoo.cli._output import json_option, print_json, print_table

_EXAMPLES = """\b
Examples:
  cnnzoo info mnist_cnn
  cnnzoo info lenet5 --json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name")
@json_option
def command(name: str, as_json: bool) -> None:
    """Show arguments, size and origin of the model NAME."""
    from cnnzoo import build, model_info

    entry = model_info(name)
    arguments = {
        key: "required" if value is inspect.Parameter.empty else value
        for key, value in entry.arguments.items()
    }
    model = None if "required" in arguments.values() else build(entry.name)
    parameters = None if model is None else sum(p.numel() for p in model.parameters())
    if as_json:
        print_json(
            {
                "name": entry.name,
                "aliases": entry.aliases,
                "summary": entry.summary,
                "arguments": arguments,
                "parameters": parameters,
                "origin": entry.origin,
                "plugin": entry.plugin,
            }
        )
        return
    click.echo(f"{entry.name}: {entry.summary}")
    if entry.aliases:
        click.echo(f"Also called {', '.join(entry.aliases)}.")
    click.echo(f"Registered at {entry.origin}.")
    print_table(["argument", "default"], [(k, repr(v)) for k, v in arguments.items()])
    if model is not None:
        click.echo(f"{parameters:,} parameters at the defaults:")
        rows = [(n, tuple(p.shape), f"{p.numel():,}") for n, p in model.named_parameters()]
        print_table(["parameter", "shape", "count"], rows)
