"""Which data a command works on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnzoo.errors import CnnzooError

if TYPE_CHECKING:
    from cnnzoo.data import DataSplits


def data_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data``, ``--root`` and ``--data-set``."""
    for option in (
        click.option(
            "--data-set",
            "data_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="Argument of the data set, such as image_size=32 of `folder`.",
        ),
        click.option("--root", help="Folder the data lies in (or, for `folder`, the pictures)."),
        click.option("--data", help="Data set: see `cnnzoo list --kind data`."),
    ):
        function = option(function)
    return function


def describe_data(name: str, root: str | None, options: Sequence[str]) -> dict[str, Any]:
    """Return what config.json keeps about the data, so that `load_for_run` finds it again."""
    where = str(Path(root).absolute()) if root else None
    return {"name": name, "root": where, "options": parse_pairs("--data-set", options)}


def load_described(data: Mapping[str, Any]) -> DataSplits:
    """Load what `describe_data` describes."""
    from cnnzoo.data import load_data

    return load_data(data["name"], root=data.get("root"), **data.get("options", {}))


def load_for_run(
    run: Path, name: str | None, root: str | None, options: Sequence[str]
) -> DataSplits:
    """Load the data set a run was trained on, or the one asked for instead."""
    from cnnzoo.train.run_folder import read_config

    if name is not None:
        return load_described(describe_data(name, root, options))
    data = read_config(run)["record"].get("data")
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise CnnzooError(f"{run} does not say what data it was trained on: pass --data.")
    moved = describe_data(data["name"], root or data.get("root"), options)
    return load_described(moved | {"options": {**data.get("options", {}), **moved["options"]}})


def parse_pairs(flag: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE; a VALUE that is JSON (3, true, [1, 2]) counts as such, else as a string."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise CnnzooError(f'{flag} takes KEY=VALUE, such as image_size=32; got "{pair}".')
        try:
            values[key] = json.loads(value)
        except json.JSONDecodeError:
            values[key] = value
    return values
