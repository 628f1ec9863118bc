"""Which trained model a command works with: that of a run folder, or of weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnzoo.errors import CnnzooError

if TYPE_CHECKING:
    from torch import nn


def weights_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--weights`` and ``--model``."""
    for option in (
        click.option(
            "--model", metavar="NAME", help="Model the weights are of; of several, mnist_cnn."
        ),
        click.option(
            "--weights",
            metavar="NAME|PATH|ADDRESS",
            help="Trained weights in place of RUN: see `cnnzoo weights`.",
        ),
    ):
        function = option(function)
    return function


def load_trained(run: Path | None, weights: str | None, model: str | None) -> nn.Module:
    """Load the model of a run folder or of weights, with its classes and preprocessing.

    Raises:
        CnnzooError: both or neither are given, or it cannot be loaded.
    """
    from cnnzoo.model_file import load
    from cnnzoo.weights import load_weights

    if weights is not None and run is not None:
        raise CnnzooError(f"Give a run folder or --weights, not both; got {run} and {weights}.")
    if weights is not None:
        return load_weights(weights, model)
    if model is not None:
        raise CnnzooError("--model says which model --weights are of: a run folder knows its own.")
    if run is None:
        raise CnnzooError("Say which trained model: a run folder, or --weights NAME.")
    return load(run)


def trained_on(weights: str, model: nn.Module) -> str:
    """Return the name of the data set that bundled weights were trained on.

    Raises:
        CnnzooError: the weights are not bundled, and nothing else knows.
    """
    from cnnzoo.weights._source import find

    spec: Any = model.spec
    card = find(weights, spec["model"]).card
    if card is None:
        raise CnnzooError(f"{weights} does not say what data it was trained on: pass --data.")
    name: str = card.data["name"]
    return name
