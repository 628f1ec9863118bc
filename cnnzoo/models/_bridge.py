"""What the bridges to other libraries' models share: arguments, a trial, and the zoo's attributes.

A bridged model is the library's own module with the library's names of weights, untouched but for
the attributes that tell what it takes.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from cnnzoo.errors import CnnzooError
from cnnzoo.models._base import ImageClassifier
from cnnzoo.models._sizes import Pair

Make = Callable[[int, int, Pair], nn.Module]


def library(name: str, wanted_for: str, install: str) -> ModuleType:
    """Import a library, or say how to install it.

    Raises:
        CnnzooError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise  # the library is there, and something that it needs is not
        raise CnnzooError(
            f'{wanted_for} are models of {name}, which is not installed: `pip install "{install}"`.'
        ) from None


def bridged(
    name: str, make: Make, summary: str, *, image_size: Pair, num_classes: int = 1000
) -> Callable[..., nn.Module]:
    """Return a builder with the arguments that the zoo's models have.

    Args:
        name: as in the zoo, with the prefix.
        make: builds the model for (channels, classes, (height, width)).
        summary: what it is, in a line.
        image_size: the default size (H, W) of its images.
        num_classes: the default number of classes.
    """
    own = image_size[0] if image_size[0] == image_size[1] else image_size
    own_classes = num_classes

    def build(
        in_channels: int = 3,
        num_classes: int = own_classes,
        image_size: int | tuple[int, int] = own,
    ) -> nn.Module:
        checked = ImageClassifier(in_channels, num_classes, image_size)
        size = checked.image_size
        try:
            model = make(in_channels, num_classes, size)
            _try_shapes(model, in_channels, size)
        except Exception as error:  # whatever another library raises for a size it cannot take
            why = str(error).strip().partition("\n")[0].rstrip(".!") or type(error).__name__
            raise CnnzooError(
                f'"{name}" cannot be built for images of {in_channels} x {size[0]} x {size[1]}: '
                f"{why}. Its own image_size is {own}."
            ) from error
        for key in ("in_channels", "num_classes", "image_size"):
            if not hasattr(model, key):  # a library's own attribute of that name is in use
                setattr(model, key, getattr(checked, key))
        return model

    build.__name__ = build.__qualname__ = name
    build.__doc__ = summary
    return build


def _try_shapes(model: nn.Module, in_channels: int, size: Pair) -> None:
    """Send the shape of an image through the model; nothing is computed."""
    state: dict[str, Any] = dict(model.named_parameters()) | dict(model.named_buffers())
    image = torch.empty(1, in_channels, *size, device="meta")
    was_training = model.training
    with torch.no_grad():
        torch.func.functional_call(
            model.eval(), {key: tensor.to("meta") for key, tensor in state.items()}, (image,)
        )
    model.train(was_training)


def first_paragraph(thing: object) -> str:
    """Return the start of a docstring as one plain line, its links left out.

    >>> def net(): "ResNet-18 from `Deep Residual Learning <https://arxiv.org>`__."
    >>> first_paragraph(net)
    'ResNet-18 from Deep Residual Learning.'
    """
    text = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    return re.sub(r"`([^`]*?)\s*<https?:[^>`]*>`_+", r"\1", text)
