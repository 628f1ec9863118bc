"""Trained weights for other channels, classes or image sizes than they were trained for.

Grey becomes RGB by giving each colour a third of the kernel, RGB becomes grey by summing it over
the colours: a grey picture then gives the same first feature maps as before, where all channels
have the same statistics. The head, which knows the classes, is drawn anew. Everything between must
fit as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from cnnzoo.errors import CnnzooError
from cnnzoo.filling import shape_of

if TYPE_CHECKING:
    from cnnzoo.data import Preprocessing


@dataclass(frozen=True)
class Shape:
    """What a classifier is built for."""

    channels: int
    classes: int
    height: int
    width: int

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Shape | None:
        """Read it off a spec; ``None``: it does not say the three arguments, or not soundly."""
        arguments = spec.get("arguments", {})
        if not {"in_channels", "num_classes", "image_size"} <= set(arguments):
            return None
        size = arguments["image_size"]
        pair = [size, size] if isinstance(size, int) else size
        if not isinstance(pair, list) or len(pair) != 2:
            return None
        return cls(arguments["in_channels"], arguments["num_classes"], *pair)

    def __str__(self) -> str:
        colours = {1: "grey", 3: "RGB"}.get(self.channels, f"{self.channels}-channel")
        return f"{self.classes} classes of {colours} images of {self.height} × {self.width}"


def adapt_weights(
    weights: Mapping[str, Tensor], model: nn.Module, then: Shape, now: Shape, whose: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights as ``model`` takes them, and what was changed, a clause each.

    Args:
        weights: by name, of the same kind of model.
        model: newly built; its head is kept where that of the weights does not fit.
        then: what the weights were trained for.
        now: what ``model`` was built for.
        whose: how a sentence about the weights begins.

    Raises:
        CnnzooError: channels other than grey and RGB, or a layer before the head that does not fit.
    """
    own, adapted, changes = model.state_dict(), dict(weights), []
    if set(own) != set(adapted):
        return adapted, []  # another network: that is said where the weights are filled in
    if then.channels != now.channels:
        first = next((name for name in own if own[name].dim() == 4), "")
        adapted[first] = _other_channels(adapted.get(first), own.get(first), then, now, whose)
        how = (
            "is divided among three colours" if now.channels == 3 else "is summed over the colours"
        )
        changes.append(f"{first} {how}")
    head = _last_layer(model)
    for key in [k for k in own if adapted[k].shape != own[k].shape]:
        layer, rows = key.rpartition(".")[0], (len(adapted[key]), len(own[key]))
        if layer != head and (rows != (then.classes, now.classes) or then.classes == now.classes):
            raise CnnzooError(
                f"{whose} cannot be adapted to {now}: {key} is {shape_of(adapted[key])} in them "
                f"and {shape_of(own[key])} in that model, and only the head can be drawn anew. "
                f"Give it images of {then.height} × {then.width}."
            )
        # All of the layer: its old bias means nothing beside a new weight.
        adapted |= {k: own[k] for k in own if k.rpartition(".")[0] == layer}
        changes.append(f"{layer} is drawn anew for {now}")
    if (then.height, then.width) != (now.height, now.width):
        changes.append(
            f"images are {now.height} × {now.width} in place of {then.height} × {then.width}"
        )
    return adapted, list(dict.fromkeys(changes))  # once for the weight and the bias of a layer


def adapt_preprocessing(
    preprocessing: Preprocessing | None, then: Shape, now: Shape
) -> Preprocessing | None:
    """Return the preprocessing for the new channels and size.

    >>> from cnnzoo.data import Preprocessing
    >>> grey = Preprocessing(1, 28, 28, (0.13,), (0.31,))
    >>> adapt_preprocessing(grey, Shape(1, 10, 28, 28), Shape(3, 10, 28, 28)).mean
    (0.13, 0.13, 0.13)
    """
    if preprocessing is None:
        return None
    sized = dataclasses.replace(preprocessing, height=now.height, width=now.width)
    if then.channels == now.channels:
        return sized
    n = now.channels
    mean, std = (sum(each) / len(each) for each in (preprocessing.mean, preprocessing.std))
    return dataclasses.replace(sized, channels=n, mean=(mean,) * n, std=(std,) * n)


def _other_channels(
    weight: Tensor | None, wanted: Tensor | None, then: Shape, now: Shape, whose: str
) -> Tensor:
    """Turn the kernel of the first convolution (K, C, R, S) into one for the other channels."""
    fits = (
        weight is not None
        and wanted is not None
        and tuple(weight.shape) == (wanted.shape[0], then.channels, *wanted.shape[2:])
    )
    if weight is None or not fits or {then.channels, now.channels} != {1, 3}:
        raise CnnzooError(
            f"{whose} are for {then} and cannot be adapted to {now.channels} channels: only grey "
            "(1) and RGB (3) become each other, in a first convolution over all channels."
        )
    if now.channels == 3:
        return weight.repeat(1, 3, 1, 1) / 3
    return weight.sum(dim=1, keepdim=True)


def _last_layer(model: nn.Module) -> str:
    """Name the last module with a matrix or kernels: the head."""
    found = ""
    for name, module in model.named_modules():
        weight = module._parameters.get("weight")
        if weight is not None and weight.dim() in (2, 4):
            found = name
    return found
