"""``cnnzoo predict``: what is on these pictures?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnzoo.cli import _weights
from cnnzoo.cli._output import json_option, print_json
from cnnzoo.errors import CnnzooError

if TYPE_CHECKING:
    from cnnzoo.prediction import Prediction

_EXAMPLES = """\b
Examples:
  cnnzoo predict --weights mnist photo.png --autofix
  cnnzoo predict runs/mnist_cnn-digits photo.png
  cnnzoo predict runs/mnist_cnn-digits *.png --autofix --top 3
  cnnzoo predict runs/mnist_cnn-digits photo.png --json
"""


@click.command(epilog=_EXAMPLES)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="[RUN] IMAGE…"
)
@_weights.weights_options
@click.option("--autofix", is_flag=True, help="Repair what the warnings name before predicting.")
@click.option(
    "--top", type=click.IntRange(min=1), default=1, show_default=True, help="Show N classes."
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    paths: tuple[Path, ...],
    weights: str | None,
    model: str | None,
    autofix: bool,
    top: int,
    as_json: bool,
) -> None:
    """Predict the class of every IMAGE with the model of the folder RUN, or with --weights.

    A picture that cannot be read is named and does not stop the others; the exit code is 2 then.
    """
    from cnnzoo.prediction import predict

    run, images = (None, paths) if weights is not None else (paths[0], paths[1:])
    if not images:
        raise CnnzooError(
            f"Expected a run folder and pictures; got {paths[0]} alone. Without a run: "
            "cnnzoo predict --weights mnist PICTURE.png"
        )
    trained = _weights.load_trained(run, weights, model)
    report: list[dict[str, Any]] = []
    failed = False
    for path in images:
        try:
            answer = predict(trained, path, autofix=autofix)
        except CnnzooError as error:
            failed = True
            report.append({"image": str(path), "error": str(error)})
            if not as_json:
                click.echo(f"Error: {error}", err=True)
            continue
        report.append(_as_json(path, answer))
        if not as_json:
            _say(path, answer, top)
    if as_json:
        print_json(report)
    if failed:
        context.exit(2)


def _say(path: Path, answer: Prediction, top: int) -> None:
    best = ", ".join(f"{label} {probability:.4f}" for label, probability in answer.top(top))
    click.echo(f"{path}: {best}")
    for warning in answer.warnings:
        click.echo(f"  {warning}" + (" (repaired)" if warning.name in answer.fixed else ""))


def _as_json(path: Path, answer: Prediction) -> dict[str, Any]:
    return {
        "image": str(path),
        "label": answer.label,
        "probability": answer.probability,
        "probabilities": answer.probabilities,
        "warnings": [{"name": w.name, "message": w.message} for w in answer.warnings],
        "fixed": list(answer.fixed),
    }
