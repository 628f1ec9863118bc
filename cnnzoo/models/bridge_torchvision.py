"""torchvision's classification models as ``tv:NAME``: ``cnnzoo.build("tv:resnet18")``.

torchvision takes RGB only. For another number of channels its first convolution is replaced by one
of the same shape but for the channels; its weights are drawn from a normal distribution as wide as
the old ones', scaled so that the sum over the channels varies as much as before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from cnnzoo.models._bridge import bridged, first_paragraph, library
from cnnzoo.models._sizes import Pair
from cnnzoo.registry import models

_PREFIX = "tv"
_IMAGE_SIZE = {"inception_v3": 299}  # all others: 224
# These two end in three classifiers while they train; the trainer wants one.
_WITHOUT_AUXILIARIES = {"aux_logits": False, "init_weights": True}
_OPTIONS = {"googlenet": _WITHOUT_AUXILIARIES, "inception_v3": _WITHOUT_AUXILIARIES}


def _names() -> list[str]:
    torchvision = library("torchvision.models", f"{_PREFIX}:…", "torchvision")
    return torchvision.list_models(module=torchvision)  # without detection, segmentation, video


def _builder(name: str) -> Callable[..., nn.Module]:
    from torchvision.models import get_model_builder

    constructor = get_model_builder(name)

    def make(in_channels: int, num_classes: int, size: Pair) -> nn.Module:
        options: dict[str, Any] = dict(_OPTIONS.get(name, {}))
        if name.startswith("vit_"):
            if size[0] != size[1]:
                raise ValueError("A vision transformer takes square images.")
            options["image_size"] = size[0]
        if name.startswith("maxvit_"):
            options["input_size"] = size
        model = constructor(weights=None, num_classes=num_classes, **options)
        if in_channels != 3:
            renew_first_convolution(model, in_channels)
        return model

    size = _IMAGE_SIZE.get(name, 224)
    summary = re.sub(r"^Constructs an? ", "", first_paragraph(constructor))
    return bridged(f"{_PREFIX}:{name}", make, f"torchvision's {summary}", image_size=(size, size))


def renew_first_convolution(model: nn.Module, in_channels: int) -> None:
    """Replace the first convolution by one for another number of channels, with new weights.

    Args:
        model: changed in place.
        in_channels: channels of the images.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU())
    >>> renew_first_convolution(net, 1)
    >>> net[0]
    Conv2d(1, 8, kernel_size=(5, 5), stride=(2, 2))
    """
    name, old = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        old.dilation,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    scale = math.sqrt(old.in_channels / in_channels)
    with torch.no_grad():
        new.weight.normal_().mul_(old.weight.std() * scale)
        if new.bias is not None and old.bias is not None:
            new.bias.copy_(old.bias)
    model.set_submodule(name, new)


models.bridge(_PREFIX, _names, _builder)
