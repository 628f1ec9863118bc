"""The networks one can choose among: those that come with cnnzoo, and one's own runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from cnnzoo.errors import CnnzooError, did_you_mean
from cnnzoo.layers import ConvReluMaxPool
from cnnzoo.model_file import load_model
from cnnzoo.pictures import PreprocessingLike
from cnnzoo.weights import list_weights, load_weights

FIRST = "mnist_cnn-mnist"


@dataclass(frozen=True)
class Network:
    """A trained model with what a page needs to know of it.

    Attributes:
        name: what the page asks for it by; unique among those of a page.
        about: a short sentence for a person.
        model: in evaluation mode.
        classes: names of the classes, in the order of the logits.
        preprocessing: how pictures become its input.
        lock: held while it runs: feature maps are read by hooks, which all threads share.
    """

    name: str
    about: str
    model: nn.Module
    classes: tuple[str, ...]
    preprocessing: PreprocessingLike
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def stages(self) -> list[dict[str, Any]]:
        """Describe every stage; one that is no conv-ReLU-maxpool layer has a name only."""
        modules = dict(self.model.named_modules())
        found: list[dict[str, Any]] = []
        for name, path in getattr(self.model, "stages", {}).items():
            module = modules[path]
            found.append({"name": name, "layer": None})
            if isinstance(module, ConvReluMaxPool):
                found[-1]["layer"] = {
                    "channels": module.in_channels // module.groups,
                    "filters": module.out_channels,
                    "kernel": module.kernel_size,
                    "pool": module.pool_size,
                }
        return found


def bundled() -> list[Network]:
    """Load all weights that come with cnnzoo, the tutorial's network first.

    Raises:
        CnnzooError: a file is missing or not the one that was bundled.

    >>> bundled()[0].name
    'mnist_cnn-mnist'
    """
    found = []
    for card in sorted(list_weights(), key=lambda card: card.name != FIRST):
        model: Any = load_weights(card.name)
        about = (
            f"{card.model}, {card.parameters:,} parameters, trained on {card.data['name']}: "
            f"{card.accuracy_in_words} of the test pictures right."
        )
        found.append(Network(card.name, about, model, model.classes, model.preprocessing))
    return found


def from_run(path: str | Path) -> Network:
    """Load the model of a run folder, or of a model file, under the folder's name.

    Raises:
        CnnzooError: as `cnnzoo.load_model`, or the file does not say how pictures become its input.
    """
    loaded = load_model(path)
    if loaded.preprocessing is None:
        raise CnnzooError(
            f"{path} does not say how pictures become its input. Train it with cnnzoo, or pass "
            "preprocessing= to cnnzoo.save."
        )
    name = Path(path).resolve()
    name = name.parent if name.name == "model.safetensors" else name
    return Network(
        name.stem if name.suffix == ".safetensors" else name.name,
        f"{loaded.spec['model']}, from {path}.",
        loaded.model,
        _names(loaded.classes, loaded.model),
        loaded.preprocessing,
    )


def choose(networks: Sequence[Network], name: str | None) -> Network:
    """Return the network of that name; the first one for no name.

    Raises:
        CnnzooError: there is none (the nearest is suggested).
    """
    for network in networks:
        if name in (None, "", network.name):
            return network
    names = [network.name for network in networks]
    raise CnnzooError(
        f'There is no network "{name}" here.{did_you_mean(str(name), names)} '
        f"There are: {', '.join(names)}."
    )


def _names(classes: Sequence[str], model: nn.Module) -> tuple[str, ...]:
    count = getattr(model, "num_classes", 0)
    return tuple(classes) or tuple(str(number) for number in range(count))
