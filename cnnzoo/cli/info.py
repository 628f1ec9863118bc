"""``cnnzoo info``: one model in detail."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from cnnzoo.cli._output import json_option, print_json, print_table
from cnnzoo.cli._size import ImageSize

if TYPE_CHECKING:
    from cnnzoo.registry import Entry
    from cnnzoo.summary import Summary

_EXAMPLES = """\b
Examples:
  cnnzoo info mnist_cnn
  cnnzoo info resnet18 --input 3,32,32 --batch-size 64
  cnnzoo info lenet5 --picture lenet5.png
  cnnzoo info lenet5 --json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name")
@click.option("--input", "size", type=ImageSize(), help="Build it for images of this size.")
@click.option("--batch-size", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--picture", type=click.Path(dir_okay=False), help="Draw its feature maps (png, svg, pdf)."
)
@json_option
def command(
    name: str,
    size: tuple[int, int, int] | None,
    batch_size: int,
    picture: str | None,
    as_json: bool,
) -> None:
    """Show arguments, layers, cost and origin of the model NAME.

    MACs are multiply-adds of a forward pass of the batch; activations are the outputs of the
    layers, all together.
    """
    from cnnzoo import list_weights, model_info

    entry = model_info(name)
    arguments = {
        key: "required" if value is inspect.Parameter.empty else value
        for key, value in entry.arguments.items()
    }
    summary = _summarize(entry, size, batch_size)
    if picture:
        _draw(entry.name, summary, picture)
    if as_json:
        print_json(_as_json(entry, arguments, summary))
        return
    click.echo(f"{entry.name}: {entry.summary}")
    if entry.aliases:
        click.echo(f"Also called {', '.join(entry.aliases)}.")
    click.echo(f"Registered at {entry.origin}.")
    for card in list_weights():
        if card.model == entry.name:
            click.echo(f'Weights "{card.data["name"]}": {card.accuracy_in_words} test accuracy.')
    print_table(["argument", "default"], [(k, repr(v)) for k, v in arguments.items()])
    if summary is not None:
        _print(summary)
    if picture:
        click.echo(f"Drawn into {picture}.")


def _summarize(
    entry: Entry[Any], size: tuple[int, int, int] | None, batch_size: int
) -> Summary | None:
    """Count at the size asked for; ``None`` for a model that cannot be built without arguments."""
    from cnnzoo import build, summarize

    own = entry.arguments
    given: dict[str, Any] = {}
    if size:
        given = {"in_channels": size[0], "image_size": size[1:]}
        if size[1] == size[2]:
            given["image_size"] = size[1]
    given = {key: value for key, value in given.items() if key in own}
    if any(value is inspect.Parameter.empty for key, value in own.items() if key not in given):
        return None
    return summarize(build(entry.name, **given), size, batch_size=batch_size)


def _draw(name: str, summary: Summary | None, path: str) -> None:
    from cnnzoo import CnnzooError, plots

    if summary is None:
        raise CnnzooError(f'"{name}" needs arguments to be built: there is no picture of it.')
    figure = plots.architecture(
        summary.steps(),
        title=f"{name}: {summary.parameters:,} parameters, "
        f"{_short(summary.macs / summary.input[0])} MACs an image",
    )
    plots.save(figure, path)


def _print(summary: Summary) -> None:
    shape = " × ".join(map(str, summary.input))
    click.echo(f"{summary.parameters:,} parameters; for an input {shape}:")
    rows = [
        (
            layer.name or "(itself)",
            layer.kind,
            " × ".join(map(str, layer.output)) if layer.output else "-",
            f"{layer.parameters:,}",
            f"{layer.macs:,}",
            _bytes(layer.activation_bytes),
        )
        for layer in summary.layers
    ]
    totals = (f"{summary.parameters:,}", f"{summary.macs:,}", _bytes(summary.activation_bytes))
    rows.append(("total", "", "", *totals))
    print_table(["layer", "kind", "output", "parameters", "MACs", "activations"], rows)


def _as_json(entry: Entry[Any], arguments: dict[str, Any], summary: Summary | None) -> Any:
    found: dict[str, Any] = {
        "name": entry.name,
        "aliases": entry.aliases,
        "summary": entry.summary,
        "arguments": arguments,
        "parameters": summary and summary.parameters,
        "origin": entry.origin,
        "plugin": entry.plugin,
    }
    if summary:
        found |= {
            "input": summary.input,
            "macs": summary.macs,
            "activation_bytes": summary.activation_bytes,
            "layers": [vars(layer) for layer in summary.layers],
            "stages": summary.stages,
        }
    return found


def _short(number: float) -> str:
    """Return 1,390,824 as ``1.39 M``."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.2f}{unit}"
    return f"{number:.0f}"


def _bytes(number: int) -> str:
    """Return bytes in binary units: 21,632 as ``21.1 KiB``."""
    if number < 1024:
        return f"{number} B"
    return f"{number / 2**20:.1f} MiB" if number >= 2**20 else f"{number / 2**10:.1f} KiB"
