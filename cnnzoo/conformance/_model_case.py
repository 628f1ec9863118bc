"""A model under test: built for what it declares, at sizes that it takes.

A model need not take ``in_channels``, ``num_classes`` or ``image_size``: what its signature does
not name is not asked of it, and its images are those it was made for.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cnnzoo.conformance._check import ConformanceError, checks_on
from cnnzoo.errors import CnnzooError
from cnnzoo.registry import build, models

_LARGEST_TRIED = 96  # where nothing up to here works, the model's own size is taken
_USUAL = (32, 28, 64, 96, 128, 224, 256, 299)


class Built(NamedTuple):
    """A model and the images it was built for."""

    model: nn.Module
    shape: tuple[int, int, int]

    def images(self, batch: int) -> Tensor:
        """Draw images (N, C, H, W)."""
        return torch.randn(batch, *self.shape)


class ModelCase:
    """A registered model, and how to build it for a test.

    Args:
        name: as it is registered.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.takes = models.info(name).arguments

    def build(
        self,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: int | tuple[int, int] | None = None,
        **others: Any,
    ) -> Built:
        """Build the model for such images and classes, as far as it takes these arguments."""
        wanted: dict[str, Any] = {"in_channels": in_channels, "num_classes": num_classes}
        if "image_size" in self.takes:
            wanted["image_size"] = self.size if image_size is None else image_size
        wanted = {key: value for key, value in wanted.items() if key in self.takes}
        model = build(self.name, **wanted, **others)
        channels = wanted.get("in_channels") or _channels_of(model)
        size: Any = wanted.get("image_size") or self._own_size(model, channels)
        height, width = (size, size) if isinstance(size, int) else size
        return Built(model, (channels, height, width))

    def around(self, weights: dict[str, Tensor], **arguments: Any) -> Built:
        """Build a model around the tensors of another: no time goes into drawing new ones."""
        with torch.device("meta"):
            built = self.build(**arguments)
        built.model.load_state_dict(weights, assign=True)
        return built

    @functools.cached_property
    def rgb(self) -> Built:
        """The model for RGB images and ten classes, in evaluation mode; do not change it."""
        built = self.build()
        built.model.eval()
        return built

    @functools.cached_property
    def size(self) -> int | tuple[int, int]:
        """32 pixels, or the size nearest to it that the model takes."""
        if self.attempt(32) is None:
            return 32
        own: Any = self.takes["image_size"]
        candidates = [n for n in (64, _LARGEST_TRIED, 128, 224) if n not in self.refusals]
        sizes = [self.smallest] if self.smallest else []
        return next((n for n in sizes + candidates if self.attempt(n) is None), own)

    @property
    def small(self) -> int | tuple[int, int] | None:
        """The smallest size that works: for checks in which the size does not matter."""
        if "image_size" not in self.takes:
            return None
        return self.smallest or self.size

    @property
    def smallest(self) -> int | None:
        """The smallest image_size that works; ``None``: none up to 96 does."""
        return self._walk[0]

    @property
    def refusals(self) -> dict[int, Exception]:
        """Sizes below the smallest, with what they ended in."""
        return self._walk[1]

    @functools.cached_property
    def _walk(self) -> tuple[int | None, dict[int, Exception]]:
        refused: dict[int, Exception] = {}
        for size in range(1, _LARGEST_TRIED + 1):
            error = self.attempt(size)
            if error is None:
                return size, refused
            refused[size] = error
        return None, refused

    def attempt(self, size: int | tuple[int, int]) -> Exception | None:
        """Send one image of that size through the model; return what it ended in.

        Shapes only, where the model can be built without numbers.
        """
        ended: Exception | None = None
        for device in ("meta", "cpu"):
            try:
                with torch.device(device), torch.no_grad():
                    built = self.build(image_size=size)
                    built.model.eval()(torch.zeros(1, *built.shape))
                return None
            except CnnzooError as error:
                return error
            except Exception as error:
                ended = error
        return ended

    def _own_size(self, model: nn.Module, channels: int) -> int | tuple[int, int]:
        """Return the size of image of a model that does not take one."""
        said: Any = getattr(model, "image_size", None)
        if isinstance(said, int | tuple):
            return said
        was_training = model.training
        try:
            for size in _USUAL:
                try:
                    with torch.no_grad():
                        model.eval()(torch.zeros(1, channels, size, size))
                    return size
                except Exception:  # whatever it raises for a size that is not its own
                    continue
        finally:
            model.train(was_training)
        raise ConformanceError(
            f'"{self.name}" takes no image_size: expected an attribute image_size that says what '
            f"images it takes, or that it takes one of {', '.join(map(str, _USUAL))} pixels."
        )


def without_dropout(model: nn.Module) -> nn.Module:
    """Return the model in training mode, its dropout off: the same input, the same answer.

    >>> model = without_dropout(nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Dropout2d()))
    >>> [module.training for module in model]
    [True, False, False]
    """
    for module in model.train().modules():
        kind = type(module).__name__.lower()
        if "drop" in kind or "stochastic" in kind:
            module.eval()
    return model


def _channels_of(model: nn.Module) -> int:
    said = getattr(model, "in_channels", None)
    if isinstance(said, int):
        return said
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return first.in_channels if first is not None else 3


model_check = checks_on("model", ModelCase)
