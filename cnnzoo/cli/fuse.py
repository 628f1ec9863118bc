"""``cnnzoo fuse``: what `cnnzoo.fuse` makes of a model, and the time that saves."""

from __future__ import annotations

import dataclasses

import click

from cnnzoo.cli._output import json_option, print_json
from cnnzoo.cli._size import ImageSize, in_size
from cnnzoo.errors import CnnzooError

_EXAMPLES = """\b
Examples:
  cnnzoo fuse tv:vgg16 --input 3,224,224
  cnnzoo fuse tv:resnet18 --batch-size 8 --json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name")
@click.option(
    "--input", "size", type=ImageSize(), help="Size of the images [default: the model's]."
)
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True)
@json_option
def command(name: str, size: tuple[int, int, int] | None, batch_size: int, as_json: bool) -> None:
    """Fuse conv → ReLU → max-pool in the model NAME, and time it before and after.

    The weights are random: they do not matter to the time. Nothing is saved.
    """
    import torch

    from cnnzoo import build, fuse

    model = build(name, **in_size(size)).eval()
    try:
        shape = (int(model.in_channels), *(int(n) for n in model.image_size))  # type: ignore[arg-type, union-attr]
    except (AttributeError, TypeError):
        raise CnnzooError(f'"{name}" does not say what it takes: give --input C,H,W.') from None
    example = torch.rand(batch_size, *shape)
    report = fuse(model, example).fuse_report
    if as_json:
        print_json(dataclasses.asdict(report))  # type: ignore[call-overload]
    else:
        click.echo(f"{name}, batch {batch_size}, {torch.get_num_threads()} threads")
        click.echo(str(report))
