"""``cnnzoo export``: a model as a file that others run: torch.export, AOTInductor, ONNX."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnnzoo.cli._output import json_option, print_json
from cnnzoo.cli._size import ImageSize, in_size
from cnnzoo.errors import CnnzooError

if TYPE_CHECKING:
    from torch import Tensor, nn

_EXAMPLES = """\b
Examples:
  cnnzoo export mnist_cnn net.onnx --weights mnist
  cnnzoo export runs/mnist_cnn-digits net.pt2 --portable
  cnnzoo export mnist_cnn net.aoti.pt2 --weights mnist --portable
  cnnzoo export tv:resnet18 net.onnx --input 3,224,224
"""


@click.command(epilog=_EXAMPLES)
@click.argument("source", metavar="MODEL|RUN")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--weights",
    metavar="NAME|PATH|ADDRESS",
    help="Trained weights of MODEL: see `cnnzoo weights`.",
)
@click.option(
    "--format",
    "format_name",
    metavar="pt2|aoti|onnx",
    help="Format [default: by the suffix, .pt2, .aoti.pt2 or .onnx].",
)
@click.option("--portable", is_flag=True, help="Only operators of torch: cnnzoo is not needed.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Take this batch size only [default: any]."
)
@click.option(
    "--input", "size", type=ImageSize(), help="Size of the images [default: the model's]."
)
@json_option
def command(
    source: str,
    path: Path,
    weights: str | None,
    format_name: str | None,
    portable: bool,
    batch_size: int | None,
    size: tuple[int, int, int] | None,
    as_json: bool,
) -> None:
    """Write a model to PATH, load it again, and compare it with the model.

    MODEL|RUN is a run folder, a .safetensors file, or the name of a model. Without --weights the
    weights of a named model are random.
    """
    from cnnzoo.exporting import export
    from cnnzoo.exporting._formats import format_of

    format_of(path, format_name)  # before a model is built or downloaded
    model = _model(source, weights, size)
    example = _example(model, size, batch_size)
    report = export(
        model,
        path,
        example,
        format=format_name,
        portable=portable,
        dynamic_batch=batch_size is None,
    )
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        click.echo(str(report))


def _model(source: str, weights: str | None, size: tuple[int, int, int] | None) -> nn.Module:
    from cnnzoo import build, load

    if Path(source).exists() or source.endswith(".safetensors"):
        if weights is not None:
            raise CnnzooError(f"Give a run folder or --weights, not both; got {source} too.")
        if size is not None:
            raise CnnzooError("--input is for models by name: a run folder knows its size.")
        return load(source)
    if weights is None:
        click.echo("Note: the weights are random; --weights gives trained ones.", err=True)
    return build(source, weights=weights, **in_size(size)).eval()


def _example(
    model: nn.Module, size: tuple[int, int, int] | None, batch_size: int | None
) -> Tensor | None:
    """Return images of the size or number asked for; ``None``: the model's own."""
    if size is None and batch_size is None:
        return None
    import torch

    from cnnzoo.exporting._inputs import example_of

    shape = size or tuple(example_of(model, None).shape[1:])
    return torch.randn(batch_size or 1, *shape, generator=torch.Generator().manual_seed(0))
