"""What of a model or a recipe anybody computes alike, on any machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

import cnnzoo
from cnnzoo.errors import CnnzooError
from cnnzoo.train.config import TrainConfig
from cnnzoo.train.recipes import list_recipes, load_recipe

_LARGEST_TRIED = 256  # pixels; no network of the zoo needs more
_NOT_OF_A_RECIPE = {"seed", "device"}


@dataclass(frozen=True)
class Facts:
    """Of a model as its spec says, or with default arguments.

    Attributes:
        parameters: how many.
        macs: multiply-adds of one image.
        input: its size (C, H, W).
        smallest_input: height and width of the smallest image it can be built for.
    """

    parameters: int
    macs: int
    input: tuple[int, ...]
    smallest_input: int


def facts_of(spec: str | Mapping[str, Any]) -> Facts:
    """Count on shapes alone: no weight is drawn, so that a large model takes milliseconds."""
    with torch.device("meta"):
        model = cnnzoo.build(spec)
        found = cnnzoo.summarize(model)
        smallest = next(n for n in range(1, _LARGEST_TRIED) if _can_be_built(spec, n))
    return Facts(found.parameters, found.macs, found.input[1:], smallest)


def names_of_models() -> list[str]:
    """Name cnnzoo's own models: plugins that happen to be installed have their own docs."""
    return [name for name in cnnzoo.list_models() if ":" not in name]


def recipe_hash(name: str) -> str:
    """Return the SHA-256 of what a recipe sets; comments and description do not count."""
    return hashlib.sha256(json.dumps(load_recipe(name), sort_keys=True).encode()).hexdigest()


def recipe_of(settings: Mapping[str, Any]) -> str:
    """Name the recipe that a run's settings are, seed and device apart.

    Raises:
        CnnzooError: none of ours gives these settings.
    """
    for name in list_recipes():
        wanted = TrainConfig.from_json(load_recipe(name)).to_json()
        if all(wanted[key] == settings.get(key) for key in wanted.keys() - _NOT_OF_A_RECIPE):
            return name
    raise CnnzooError(
        f"No recipe of cnnzoo ({', '.join(list_recipes())}) has the settings of this run: what is "
        "bundled must be repeatable by `cnnzoo train --recipe`."
    )


def _can_be_built(spec: str | Mapping[str, Any], size: int) -> bool:
    try:
        cnnzoo.build(spec, image_size=size)
    except CnnzooError:
        return False
    return True
