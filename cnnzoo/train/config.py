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


def _option(
    default: Any,
    text: str,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    choices: tuple[str, ...] = (),
) -> Any:
    bounds = {"least": least, "above": above, "below": below, "choices": choices}
    return field(default=default, metadata={"help": text, **bounds})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; the defaults are the tutorial's recipe.

    Attributes:
        epochs: passes over the training set.
        batch_size: images in a step; of each process, where several share the work.
        optimizer: by name (`cnnzoo.train.optimizers`).
        lr: learning rate, where the schedule is at its highest.
        momentum: of SGD; the first beta of Adam and its like.
        nesterov: SGD looks ahead (Nesterov 1983).
        weight_decay: as the optimizer defines it: L2 for SGD, decoupled for AdamW.
        scheduler: by name (`cnnzoo.train.schedules`): how the learning rate goes over the run.
        warmup: fraction of the run in which it rises to ``lr``.
        final_lr: what is left of it at the end, as a fraction of ``lr``.
        step_epochs: epochs between two drops of the schedule ``"step"``.
        gamma: factor of each drop.
        loss: by name (`cnnzoo.train.losses`).
        label_smoothing: probability given to the wrong classes (Szegedy et al. 2016).
        clip_norm: longest gradient, in the norm over all parameters; 0: any.
        accumulate: batches whose gradients are summed up for a step.
        ema: decay a step of the averaged weights that are evaluated and kept; 0: none.
        hold_out: fraction of the training set that is not trained on, to choose by.
        patience: epochs without improvement after which to stop; 0: never.
        keep_best: end with the weights of the best epoch on the held-out part.
        augment: changes to the images, such as ``"shift=2,rotate=10,flip"``; empty: none.
        precision: ``"float32"``, or ``"bfloat16"`` under autocast.
        compile: run the model through `torch.compile`.
        channels_last: images and weights in that memory order.
        parallel: how processes share a model: ``"ddp"``, each holds it all and they average their
            gradients (Li et al. 2020); ``"fsdp"``, each holds a piece of every layer, for a model
            that outgrows a device (Zhao et al. 2023). Nothing to one process alone.
        checkpoint_steps: steps between two checkpoints within an epoch; 0: none.
        seed: of the order of the samples, of augmentation, and of torch's generator.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``…

    Raises:
        CnnzooError: a value is of the wrong type or out of its range.

    >>> TrainConfig(epochs=3).to_json()["epochs"]
    3
    """

    epochs: int = _option(10, "Passes over the training set.", least=1)
    batch_size: int = _option(64, "Images in a step of a process.", least=1)
    optimizer: str = _option("sgd", "sgd, adam, adamw, nadam, rmsprop, muon.")
    lr: float = _option(0.01, "Learning rate.", above=0)
    momentum: float = _option(0.9, "Momentum of SGD; first beta of Adam.", least=0, below=1)
    nesterov: bool = _option(False, "Nesterov's momentum.")
    weight_decay: float = _option(0.0, "Weight decay.", least=0)
    scheduler: str = _option("constant", "constant, one_cycle, cosine, linear, step.")
    warmup: float = _option(0.0, "Fraction of the run with a rising rate.", least=0, below=1)
    final_lr: float = _option(0.0, "Fraction of the rate left at the end.", least=0)
    step_epochs: int = _option(1, "Epochs between drops of the step schedule.", least=1)
    gamma: float = _option(0.1, "Factor of each drop.", above=0)
    loss: str = _option("cross_entropy", "cross_entropy, nll, multi_margin.")
    label_smoothing: float = _option(0.0, "Probability given to wrong classes.", least=0, below=1)
    clip_norm: float = _option(0.0, "Longest gradient; 0: any.", least=0)
    accumulate: int = _option(1, "Batches summed up for a step.", least=1)
    ema: float = _option(0.0, "Decay of averaged weights; 0: none.", least=0, below=1)
    hold_out: float = _option(0.0, "Fraction held out to choose by.", least=0, below=1)
    patience: int = _option(0, "Epochs without improvement before a stop; 0: any.", least=0)
    keep_best: bool = _option(False, "End with the weights of the best epoch.")
    augment: str = _option("", "Changes to images, such as shift=2,rotate=10,flip.")
    precision: str = _option("float32", "float32 or bfloat16.", choices=("float32", "bfloat16"))
    compile: bool = _option(False, "Run the model through torch.compile.")
    channels_last: bool = _option(False, "Images and weights in channels_last memory.")
    parallel: str = _option(
        "ddp", "ddp, or fsdp: each process holds a piece of the model.", choices=("ddp", "fsdp")
    )
    checkpoint_steps: int = _option(0, "Steps between checkpoints in an epoch; 0: none.", least=0)
    seed: int = _option(0, "Seed of sample order, augmentation and torch.", least=0)
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
            _check_bounds(each.name, value, each.metadata)

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


def _check_bounds(name: str, value: Any, bounds: Mapping[str, Any]) -> None:
    if isinstance(value, str):
        if bounds["choices"] and value not in bounds["choices"]:
            raise CnnzooError(f"{name} is {' or '.join(bounds['choices'])}; got {value!r}.")
        return
    for wrong, bound in (
        (value < bounds["least"], f"at least {bounds['least']}"),
        (value <= bounds["above"], f"more than {bounds['above']}"),
        (value >= bounds["below"], f"below {bounds['below']}"),
    ):
        if wrong:
            raise CnnzooError(f"{name} must be {bound}; got {value!r}.")


_KINDS = {
    int: "a whole number",
    float: "a finite number",
    str: "a string",
    bool: "True or False",
}
