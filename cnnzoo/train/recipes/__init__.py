"""Recipes: settings of a run as a file of ``key = value`` lines (TOML), ours and yours.

Keys are the fields of `cnnzoo.train.config.TrainConfig`; what a recipe leaves out has the default
of that class. ``description`` says in a line what the recipe is for. A new recipe of ours is a new
file in this folder.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnzoo.errors import CnnzooError, did_you_mean

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """What a recipe file says.

    Attributes:
        name: of the file, without ``.toml``.
        description: its line ``description``, or an empty string.
        settings: what it sets of `TrainConfig`, checked.
        path: where it lies.
    """

    name: str
    description: str
    settings: dict[str, Any]
    path: Path


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with cnnzoo, in alphabetical order.

    >>> "tutorial" in list_recipes()
    True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_recipe(name: str | Path) -> dict[str, Any]:
    """Return the settings of a recipe, checked, for ``TrainConfig(**settings)``.

    Args:
        name: one of `list_recipes`, or the path of a file that ends in ``.toml``.

    Raises:
        CnnzooError: the name is unknown, or the file is missing, no TOML, or sets what is no
            setting of a run (the nearest is suggested) or a value out of its range.

    >>> load_recipe("tutorial")["batch_size"]
    64
    """
    return dict(recipe_info(name).settings)


def recipe_info(name: str | Path) -> Recipe:
    """Return a recipe with its description.

    Takes and raises what `load_recipe` does.

    >>> recipe_info("tutorial").name
    'tutorial'
    """
    from cnnzoo.train.config import TrainConfig

    path = _find(str(name))
    values = _read(path)
    description = values.pop("description", "")
    if not isinstance(description, str):
        raise CnnzooError(f"{path}: description must be a string; got {description!r}.")
    for key, value in values.items():
        if not isinstance(value, str | int | float):  # bool is an int
            raise CnnzooError(
                f'{path}: "{key}" must be a number, a string, true or false; got a '
                f"{'table' if isinstance(value, dict) else type(value).__name__}. "
                "A recipe is lines of key = value, without [sections]."
            )
    try:
        TrainConfig.from_json(values)
    except CnnzooError as error:
        raise CnnzooError(f"{path}: {error}") from None
    return Recipe(path.stem, description, values, path)


def _find(name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    known = list_recipes()
    if name not in known:
        raise CnnzooError(
            f'Unknown recipe "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}, '
            "or the path of a file of your own that ends in .toml."
        )
    return _FOLDER / f"{name}.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CnnzooError(f"Cannot read the recipe {path}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CnnzooError(f"{path} is no TOML: line {line} is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:  # says the line and column itself
        raise CnnzooError(f"{path} is no TOML: {error}.") from None
