"""``cnnzoo eval``: how good a trained model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cnnzoo.cli import _data, _weights
from cnnzoo.cli._output import json_option, print_json, print_table

_EXAMPLES = """\b
Examples:
  cnnzoo eval runs/mnist_cnn-digits
  cnnzoo eval runs/mnist_cnn-mnist --data fashion_mnist --root DIR --json
  cnnzoo eval --weights mnist --root DIR
"""


@click.command(epilog=_EXAMPLES)
@click.argument("run", required=False, type=click.Path(path_type=Path))
@_weights.weights_options
@_data.data_options
@click.option("--batch-size", type=click.IntRange(min=1), default=256, show_default=True)
@json_option
def command(
    run: Path | None,
    weights: str | None,
    model: str | None,
    data: str | None,
    root: str | None,
    data_options: tuple[str, ...],
    batch_size: int,
    as_json: bool,
) -> None:
    """Evaluate the model of the folder RUN, or of --weights, on the test set.

    The test set is that of its own data, or of the one --data names.
    """
    from cnnzoo.train import Trainer

    trained: Any = _weights.load_trained(run, weights, model)
    if weights is not None:
        data = data or _weights.trained_on(weights, trained)
        _, test = _data.load_described(_data.describe_data(data, root, data_options))
    else:
        assert run is not None  # or there would be no model
        _, test = _data.load_for_run(run, data, root, data_options)
    found = Trainer(trained, batch_size=batch_size, progress=False).evaluate(test)
    classes = trained.classes or [str(n) for n in range(len(found.confusion))]
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
