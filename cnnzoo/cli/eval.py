"""``cnnzoo eval``: how good a trained model is."""

from __future__ import annotations

from pathlib import Path

import click

from cnnzoo.cli import _data
from cnnzoo.cli._output import json_option, print_json, print_table

_EXAMPLES = """\b
Examples:
  cnnzoo eval runs/mnist_cnn-digits
  cnnzoo eval runs/mnist_cnn-mnist --data fashion_mnist --root DIR --json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path))
@_data.data_options
@click.option("--batch-size", type=click.IntRange(min=1), default=256, show_default=True)
@json_option
def command(
    run: Path,
    data: str | None,
    root: str | None,
    data_options: tuple[str, ...],
    batch_size: int,
    as_json: bool,
) -> None:
    """Evaluate the model of the folder RUN on the test set (its own, or another one)."""
    from cnnzoo.model_file import load_model
    from cnnzoo.train import Trainer

    loaded = load_model(run)
    _, test = _data.load_for_run(run, data, root, data_options)
    found = Trainer(loaded.model, batch_size=batch_size, progress=False).evaluate(test)
    classes = loaded.classes or [str(n) for n in range(len(found.confusion))]
    per_class = dict(zip(classes, found.per_class_accuracy.tolist(), strict=True))
    if as_json:
        print_json(
            {
                "loss": found.loss,
                "accuracy": found.accuracy,
                "samples": len(found.labels),
                "per_class_accuracy": per_class,
                "confusion": found.confusion.tolist(),
            }
        )
        return
    click.echo(
        f"loss {found.loss:.4f}, accuracy {found.accuracy:.4f} on {len(found.labels)} images"
    )
    print_table(
        ["class", "accuracy"], [(name, f"{value:.4f}") for name, value in per_class.items()]
    )
