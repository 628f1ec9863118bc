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
from cnnzoo.train.recipes import list_recipes

if TYPE_CHECKING:
    from cnnzoo.data import DataSplits
    from cnnzoo.train import Trainer

_EXAMPLES = """\b
Examples:
  cnnzoo train mnist_cnn
  cnnzoo train mnist_cnn --data mnist --root DIR --epochs 2 --batch-size 64 --lr 0.01 --out RUN
  cnnzoo train mnist_cnn --data mnist --recipe fast --profile
  cnnzoo train lenet5 --set form=classic
  cnnzoo train mnist_cnn --data folder --root my_pictures
  cnnzoo train mnist_cnn --data folder --root my_pictures --weights mnist --adapt
  cnnzoo train --resume RUN --epochs 20
"""


def _settings_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a flag for every field of the trainer's configuration."""
    from cnnzoo.train.config import TrainConfig

    for each in reversed(dataclasses.fields(TrainConfig)):
        flag, kind = f"--{each.name.replace('_', '-')}", type(each.default)
        if kind is bool:
            option = click.option(
                f"{flag}/--no-{flag[2:]}", each.name, default=None, help=each.metadata["help"]
            )
        else:
            text = each.metadata["help"] + (f" [default: {each.default}]" if each.default else "")
            option = click.option(flag, each.name, type=kind, help=text)
        function = option(function)
    return function


@click.command(epilog=_EXAMPLES)
@click.argument("name", required=False)
@_data.data_options
@click.option(
    "--recipe",
    help=f"Settings to start from: {', '.join(list_recipes())}, or a .toml file of yours.",
)
@_settings_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder [default: runs/NAME-DATA]."
)
@click.option("--force", is_flag=True, help="Overwrite the run that is in that folder.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Continue a run.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Argument of the model."
)
@click.option(
    "--weights", metavar="NAME|PATH|ADDRESS", help="Weights to start from: see `cnnzoo weights`."
)
@click.option("--adapt", is_flag=True, help="Fit them to other channels, classes or image sizes.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: torch's].")
@click.option(
    "--tensorboard", type=click.Path(path_type=Path), metavar="DIR", help="Log for TensorBoard too."
)
@click.option("--profile", is_flag=True, help="Say where the time went.")
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
@json_option
def command(
    name: str | None,
    data: str | None,
    root: str | None,
    data_options: tuple[str, ...],
    recipe: str | None,
    out: Path | None,
    force: bool,
    resume: Path | None,
    overrides: tuple[str, ...],
    weights: str | None,
    adapt: bool,
    threads: int | None,
    tensorboard: Path | None,
    profile: bool,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train the model NAME, by default on the digits that come with cnnzoo."""
    import torch

    from cnnzoo.train.one_voice import one_voice
    from cnnzoo.train.processes import Processes
    from cnnzoo.train.recipes import load_recipe
    from cnnzoo.train.tensorboard import TensorBoard

    given = {key: value for key, value in settings.items() if value is not None}
    if threads:
        torch.set_num_threads(threads)
    processes = Processes.join()
    progress = not (quiet or as_json) and processes.is_main
    with one_voice(processes):
        if resume:
            if recipe:
                raise CnnzooError(
                    "A resumed run keeps its settings: give no --recipe with --resume."
                )
            if weights or adapt:
                raise CnnzooError("A resumed run has its weights: give none with --resume.")
            run = resume
            trainer = _resume(run, name, given, progress)
            with processes.one_first():
                splits = _data.load_for_run(run, data, root, data_options)
        elif name:
            described = _data.describe_data(data or "digits", root, data_options)
            arguments = _data.parse_pairs("--set", overrides)
            if weights or adapt:
                arguments |= {"weights": weights, "adapt": adapt}
            if recipe:
                given = load_recipe(recipe) | given
            run = processes.from_main(lambda: _claim(out, name, described["name"], force, given))
            with processes.one_first():
                splits = _data.load_described(described)
            trainer = _start(name, arguments, described, splits, run, force, given, progress)
        else:
            raise CnnzooError("Say which model to train (cnnzoo list), or which run to --resume.")
        if progress:
            parameters = sum(p.numel() for p in trainer.model.parameters())
            shared = f" in each of {processes.world} processes" if processes.world > 1 else ""
            click.echo(
                f"{type(trainer.model).__name__}: {parameters:,} parameters on {trainer.device}, "
                f"{torch.get_num_threads()} threads{shared}; {len(splits.train)} training and "
                f"{len(splits.test)} test images of {splits.train.name}"
            )
        if tensorboard:
            trainer.callbacks.insert(0, TensorBoard(tensorboard))
        history = trainer.fit(splits.train, splits.test, profile=profile)
    if not processes.is_main:
        return
    if as_json:
        rows = [dataclasses.asdict(row) for row in history]
        spent = trainer.profile.to_json() if trainer.profile else None
        print_json({"run": str(run), "history": rows, "profile": spent})
        return
    if trainer.profile:
        click.echo(f"\n{trainer.profile.table()}")
    _say_what_next(run, trainer.evaluation.accuracy if trainer.evaluation else None)


def _claim(
    out: Path | None,
    name: str,
    data: str,
    force: bool,
    settings: dict[str, Any],
) -> Path:
    """Check what can be checked before the data is loaded; return the run's folder."""
    from cnnzoo.registry import model_info
    from cnnzoo.train import TrainConfig
    from cnnzoo.train.restart import is_restarted, is_same_run
    from cnnzoo.train.run_folder import claim

    model_info(name)
    config = TrainConfig.from_json(settings)
    if not is_restarted():
        return claim(out or _free_folder(name, data), force=force)
    # By torchrun: by now the folder may be there, and be this run's.
    run = out or _free_folder(name, data, but=lambda path: is_same_run(path, config))
    return claim(run, force=force or is_same_run(run, config))


def _start(
    name: str,
    overrides: dict[str, Any],
    data: dict[str, Any],
    splits: DataSplits,
    run: Path,
    force: bool,
    settings: dict[str, Any],
    progress: bool,
) -> Trainer:
    """Build the model that fits the data, and its trainer."""
    import torch

    from cnnzoo.building import build
    from cnnzoo.registry import model_info
    from cnnzoo.train import TrainConfig, Trainer

    legal = model_info(name).arguments
    config = TrainConfig.from_json(settings)
    facts = splits.train.preprocessing
    fitting = {
        "in_channels": facts.channels,
        "num_classes": len(splits.train.classes),
        "image_size": facts.height if facts.height == facts.width else (facts.height, facts.width),
    }
    torch.manual_seed(config.seed)
    model = build(name, **{k: v for k, v in fitting.items() if k in legal} | overrides)
    record = {"data": data} | {k: overrides[k] for k in ("weights", "adapt") if k in overrides}
    if progress:
        for change in getattr(model, "adapted", ()):
            click.echo(f"Adapted: {change}.")
    return Trainer(
        model, out=run, force=force, progress=progress, record=record, **config.to_json()
    )


def _resume(run: Path, name: str | None, settings: dict[str, Any], progress: bool) -> Trainer:
    from cnnzoo.train import Trainer

    epochs = settings.pop("epochs", None)
    if name or settings:
        flags = ", ".join(["NAME"] * bool(name) + [f"--{k.replace('_', '-')}" for k in settings])
        raise CnnzooError(
            f"A resumed run keeps its settings: {flags} cannot be given with --resume."
        )
    return Trainer.resume(run, epochs=epochs, progress=progress)


def _free_folder(name: str, data: str, but: Callable[[Path], bool] = lambda path: False) -> Path:
    """Return the first of runs/NAME-DATA, runs/NAME-DATA-2, … that does not exist.

    Args:
        name: of the model.
        data: of the data set.
        but: take the last one that exists instead, if this is true of it.
    """
    stem = f"{name}-{data}".replace(":", "_").casefold()
    last = None
    for number in itertools.count(1):
        path = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        if not path.exists():
            return last if last and but(last) else path
        last = path
    raise AssertionError("count() does not end")


def _say_what_next(run: Path, accuracy: float | None) -> None:
    if accuracy is not None:
        click.echo(f"\nTest accuracy {accuracy:.4f}. The run lies in {run}:")
    click.echo(f"  look at      {run / 'plots'}")
    click.echo(f"  per class    cnnzoo eval {run}")
    click.echo(f"  a picture    cnnzoo predict {run} PICTURE.png --autofix")
    click.echo(f"  go on        cnnzoo train --resume {run} --epochs 20")
    click.echo("  other models cnnzoo list")
