"""Which data a command works on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnzoo.errors import CnnzooError

if TYPE_CHECKING:
    from cnnzoo.data import DataSplits


def data_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data`` and ``--root``."""
    root = click.option("--root", help="Folder the data lies in (or, for `folder`, the pictures).")
    name = click.option("--data", help="Data set: see `cnnzoo list --kind data`.")
    return name(root(function))


def load_for_run(run: Path, data: str | None, root: str | None) -> DataSplits:
    """Load the data set a run was trained on, or the one asked for instead."""
    from cnnzoo.data import load_data
    from cnnzoo.train.run_folder import read_config

    if data is None:
        record = read_config(run)["record"].get("data")
        if not isinstance(record, dict) or not isinstance(record.get("name"), str):
            raise CnnzooError(f"{run} does not say what data it was trained on: pass --data.")
        data, root = record["name"], root or record.get("root")
    return load_data(data, root=root)
