"""``cnnzoo train``: from a name to a run folder."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnzoo.cli import _data
from cnnzoo.cli._output import json_option, print_json
from cnnzoo.errors import CnnzooError

if TYPE_CHECKING:
    from cnnzoo.data import DataSplits
    from cnnzoo.train import Trainer

_EXAMPLES = """\b
Examples:
  cnnzoo train mnist_cnn
  cnnzoo train mnist_cnn --data mnist --root DIR --epochs 2 --batch-size 64 --lr 0.01 --out RUN
  cnnzoo train lenet5 --set form=classic
  cnnzoo train mnist_cnn --data folder --root my_pictures
  cnnzoo train --resume RUN --epochs 20
"""


def _settings_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a flag for every field of the trainer's configuration."""
    from cnnzoo.train.config import TrainConfig

    for each in reversed(dataclasses.fields(TrainConfig)):
        flag, text = f"--{each.name.replace('_', '-')}", each.metadata["help"]
        text += f" [default: {each.default}]"
        function = click.option(flag, each.name, type=type(each.default), help=text)(function)
    return function


@click.command(epilog=_EXAMPLES)
@click.argument("name", required=False)
@_data.data_options
@_settings_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder [default: runs/NAME-DATA]."
)
@click.option("--force", is_flag=True, help="Overwrite the run that is in that folder.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Continue a run.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Argument of the model."
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: torch's].")
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
@json_option
def command(
    name: str | None,
    data: str | None,
    root: str | None,
    data_options: tuple[str, ...],
    out: Path | None,
    force: bool,
    resume: Path | None,
    overrides: tuple[str, ...],
    threads: int | None,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train the model NAME, by default on the digits that come with cnnzoo."""
    import torch

    given = {key: value for key, value in settings.items() if value is not None}
    if threads:
        torch.set_num_threads(threads)
    progress = not (quiet or as_json)
    if resume:
        run = resume
        trainer = _resume(run, name, given, progress)
        splits = _data.load_for_run(run, data, root, data_options)
    elif name:
        described = _data.describe_data(data or "digits", root, data_options)
        run = out or _free_folder(name, described["name"])
        arguments = _data.parse_pairs("--set", overrides)
        trainer, splits = _start(name, arguments, described, run, force, given, progress)
    else:
        raise CnnzooError("Say which model to train (cnnzoo list), or which run to --resume.")
    if progress:
        parameters = sum(p.numel() for p in trainer.model.parameters())
        click.echo(
            f"{type(trainer.model).__name__}: {parameters:,} parameters on {trainer.device}, "
            f"{torch.get_num_threads()} threads; {len(splits.train)} training and "
            f"{len(splits.test)} test images of {splits.train.name}"
        )
    history = trainer.fit(splits.train, splits.test)
    if as_json:
        print_json({"run": str(run), "history": [dataclasses.asdict(row) for row in history]})
    else:
        _say_what_next(run, history[-1].test_accuracy)


def _start(
    name: str,
    overrides: dict[str, Any],
    data: dict[str, Any],
    run: Path,
    force: bool,
    settings: dict[str, Any],
    progress: bool,
) -> tuple[Trainer, DataSplits]:
    """Check what can be checked, load the data, build the model that fits it."""
    import torch

    from cnnzoo.registry import build, model_info
    from cnnzoo.train import TrainConfig, Trainer
    from cnnzoo.train.run_folder import claim

    legal = model_info(name).arguments
    config = TrainConfig.from_json(settings)
    claim(run, force=force)
    splits = _data.load_described(data)
    facts = splits.train.preprocessing
    fitting = {
        "in_channels": facts.channels,
        "num_classes": len(splits.train.classes),
        "image_size": facts.height if facts.height == facts.width else (facts.height, facts.width),
    }
    torch.manual_seed(config.seed)
    model = build(name, **{k: v for k, v in fitting.items() if k in legal} | overrides)
    trainer = Trainer(
        model, out=run, force=force, progress=progress, record={"data": data}, **config.to_json()
    )
    return trainer, splits


def _resume(run: Path, name: str | None, settings: dict[str, Any], progress: bool) -> Trainer:
    from cnnzoo.train import Trainer

    epochs = settings.pop("epochs", None)
    if name or settings:
        flags = ", ".join(["NAME"] * bool(name) + [f"--{k.replace('_', '-')}" for k in settings])
        raise CnnzooError(
            f"A resumed run keeps its settings: {flags} cannot be given with --resume."
        )
    return Trainer.resume(run, epochs=epochs, progress=progress)


def _free_folder(name: str, data: str) -> Path:
    """Return the first of runs/NAME-DATA, runs/NAME-DATA-2, … that does not exist."""
    stem = f"{name}-{data}".replace(":", "_").casefold()
    for number in itertools.count(1):
        path = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        if not path.exists():
            return path
    raise AssertionError("count() does not end")


def _say_what_next(run: Path, accuracy: float | None) -> None:
    if accuracy is not None:
        click.echo(f"\nTest accuracy {accuracy:.4f}. The run lies in {run}:")
    click.echo(f"  look at      {run / 'plots'}")
    click.echo(f"  per class    cnnzoo eval {run}")
    click.echo(f"  a picture    cnnzoo predict {run} PICTURE.png --autofix")
    click.echo(f"  go on        cnnzoo train --resume {run} --epochs 20")
    click.echo("  other models cnnzoo list")
