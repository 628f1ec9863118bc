"""``cnnzoo tune``: measure on this machine, and write the choices into a file."""

from __future__ import annotations

from pathlib import Path

import click

from cnnzoo.cli._output import json_option, print_json, print_table

_EXAMPLES = """\b
Examples:
  cnnzoo tune mnist_cnn
  cnnzoo tune lenet5 --batch-size 64 --out my_choices.json
  CNNZOO_CHOICES=choices.json cnnzoo train mnist_cnn
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("choices.json"),
    show_default=True,
    help="Table to write, or to add to.",
)
@json_option
def command(name: str, batch_size: int, out: Path, as_json: bool) -> None:
    """Time the layers of the model NAME and record which implementation is faster here.

    The file takes effect where the environment variable CNNZOO_CHOICES names it.
    """
    from cnnzoo.explanation import tune
    from cnnzoo.ops.tuning import write_table
    from cnnzoo.registry import build

    found = tune(build(name), batch_size=batch_size)
    write_table(out, found)
    if as_json:
        print_json([{"bucket": f.bucket, "choice": f.choice, "gain": f.gain} for f in found])
        return
    print_table(
        ["layer", "native, µs", "reference, µs", "choice"],
        [(f.bucket, f.native_us, f.reference_us, f.choice) for f in found],
    )
    click.echo(f"Written to {out}; it takes effect with CNNZOO_CHOICES={out}.")
