"""``cnnzoo replay``: train a run again, and say whether the same bits come out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnzoo.cli import _data
from cnnzoo.cli._output import json_option, print_json

if TYPE_CHECKING:
    from torch import nn

_EXAMPLES = """\b
Examples:
  cnnzoo replay runs/mnist_cnn-digits
  cnnzoo replay runs/mnist_cnn-mnist --root DIR --json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@_data.data_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    run: Path,
    data: str | None,
    root: str | None,
    data_options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train the run in the folder RUN again and compare every loss and the weights.

    Nothing is written. Says "identical", or names the first step that differs. The exit status is 0
    if it is identical and 1 if not.
    """
    from cnnzoo.train.receipt import read_receipt
    from cnnzoo.train.replaying import replay

    receipt = read_receipt(run)  # before the data is loaded
    splits = _data.load_for_run(run, data, root, data_options)
    found = replay(run, splits.train, splits.test, model=_trained_before(receipt))
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        click.echo(found.sentence)
    context.exit(0 if found.identical else 1)


def _trained_before(receipt: dict[str, Any]) -> nn.Module | None:
    """Build the model of a run that began with trained weights; ``None``: it had new ones."""
    import torch

    from cnnzoo.building import build

    record = receipt.get("record") or {}
    if not record.get("weights"):
        return None
    torch.manual_seed(receipt["config"]["seed"])  # an adapted head is drawn anew
    return build(receipt["spec"], weights=record["weights"], adapt=record.get("adapt", False))
