"""The numbers of a training run: checked once, frozen, JSON both ways.

Every field carries its help text and bounds; the command line makes its flags from them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnzoo.errors import CnnzooError, did_you_mean


def _option(default: Any, text: str, *, least: float = -math.inf, above: float = -math.inf) -> Any:
    return field(default=default, metadata={"help": text, "least": least, "above": above})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; the defaults are the tutorial's recipe.

    Attributes:
        epochs: passes over the training set.
        batch_size: images in a step.
        lr: learning rate of SGD.
        momentum: of SGD.
        weight_decay: L2 penalty of SGD.
        seed: of the order of the samples and of torch's generator.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``…

    Raises:
        CnnzooError: a value is of the wrong type or out of its range.

    >>> TrainConfig(epochs=3).to_json()["epochs"]
    3
    """

    epochs: int = _option(10, "Passes over the training set.", least=1)
    batch_size: int = _option(64, "Images in a step.", least=1)
    lr: float = _option(0.01, "Learning rate.", above=0)
    momentum: float = _option(0.9, "Momentum of SGD.", least=0)
    weight_decay: float = _option(0.0, "Weight decay (L2).", least=0)
    seed: int = _option(0, "Seed of the sample order and of torch.", least=0)
    device: str = _option("auto", "auto, cpu, cuda, cuda:1, mps, …")

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value: Any = getattr(self, each.name)
            kind: type = type(each.default)
            if kind is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, each.name, value)
            if type(value) is not kind or (type(value) is float and not math.isfinite(value)):
                raise CnnzooError(f"{each.name} must be {_KINDS[kind]}; got {value!r}.")
            least, above = each.metadata["least"], each.metadata["above"]
            if kind is not str and (value < least or value <= above):
                bound = f"at least {least}" if above == -math.inf else f"more than {above}"
                raise CnnzooError(f"{each.name} must be {bound}; got {value!r}.")
        if self.momentum >= 1:
            raise CnnzooError(
                f"momentum must be below 1, or steps grow for ever; got {self.momentum}."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a dictionary of numbers and strings."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Return the settings in ``values``.

        Raises:
            CnnzooError: an unknown key (the nearest is suggested) or a bad value.
        """
        legal = [each.name for each in dataclasses.fields(cls)]
        for key in values:
            if key not in legal:
                raise CnnzooError(
                    f'"{key}" is no setting of a run.{did_you_mean(key, legal)}'
                    f" There are: {', '.join(legal)}."
                )
        return cls(**values)


_KINDS = {int: "a whole number", float: "a finite number", str: "a string"}
