"""``cnnzoo explain``: which implementation each layer runs, and why."""

from __future__ import annotations

import dataclasses

import click

from cnnzoo.cli._output import json_option, print_json
from cnnzoo.cli._size import ImageSize, in_size

_EXAMPLES = """\b
Examples:
  cnnzoo explain mnist_cnn
  cnnzoo explain mnist_cnn --batch-size 1 --json
  cnnzoo explain lenet5 --input 3,32,32
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name")
@click.option(
    "--input", "size", type=ImageSize(), help="Image to explain for [default: the model's]."
)
@click.option("--batch-size", type=click.IntRange(min=1), default=128, show_default=True)
@json_option
def command(name: str, size: tuple[int, int, int] | None, batch_size: int, as_json: bool) -> None:
    """Explain the model NAME layer by layer: implementation, why, time, memory for backward."""
    import torch

    from cnnzoo.explanation import explain
    from cnnzoo.registry import build

    model = build(name, **in_size(size))
    report = explain(model, batch_size=batch_size)
    if as_json:
        print_json([dataclasses.asdict(each) for each in report])
    else:
        click.echo(f"{name}, batch {batch_size}, {torch.get_num_threads()} threads")
        click.echo(str(report))
