"""timm's models as ``timm:NAME``, if timm is installed: ``cnnzoo.build("timm:resnet18")``.

timm itself takes any number of channels and, where a model needs it, the size of the images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from cnnzoo.models._bridge import bridged, first_paragraph, library
from cnnzoo.models._sizes import Pair
from cnnzoo.registry import models

_PREFIX = "timm"


def _timm() -> Any:
    return library("timm", f"{_PREFIX}:…", "cnnzoo[timm]")


def _names() -> list[str]:
    return _timm().list_models()


def _builder(name: str) -> Callable[..., nn.Module]:
    timm = _timm()
    settings = timm.get_pretrained_cfg(name)  # None for a few models without weights
    own: Pair = tuple(settings.input_size[1:]) if settings else (224, 224)

    def make(in_channels: int, num_classes: int, size: Pair) -> nn.Module:
        # most convolutional networks take any size and do not know the argument
        fixed = settings is not None and settings.fixed_input_size and size != own
        options = {"img_size": size} if fixed else {}
        return timm.create_model(
            name, pretrained=False, in_chans=in_channels, num_classes=num_classes, **options
        )

    constructor = timm.model_entrypoint(name)
    # where timm has no words for a model, its file says which family it is of
    summary = first_paragraph(constructor) or f"{name}, see {constructor.__module__}."
    classes = (settings.num_classes if settings else 0) or 1000
    return bridged(
        f"{_PREFIX}:{name}", make, f"timm's {summary}", image_size=own, num_classes=classes
    )


models.bridge(_PREFIX, _names, _builder)
