"""What a network says about a picture, and everything on the way there, as JSON."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cnnzoo.demo.networks import Network
from cnnzoo.demo.packing import pack
from cnnzoo.errors import CnnzooError
from cnnzoo.feature_maps import features
from cnnzoo.pictures import Picture, prepare
from cnnzoo.prediction import predict

EMPTY = "There is nothing to see yet. Draw something, or choose a picture."


def answer(
    network: Network, picture: Picture, *, repair: bool = True, drawn: bool = False
) -> dict[str, Any]:
    """Prepare the picture, run the network, and tell all of it.

    Args:
        network: which one.
        picture: from `cnnzoo.demo.uploads.picture_of`.
        repair: mend what makes the picture unlike the training pictures.
        drawn: it is the page's own canvas, in white on black; that browsers store it in colour is
            not worth a warning.

    Returns:
        ``label``, ``probability``, ``probabilities`` (class and number, in the order of the
        classes); ``seen``, the uint8 (C, H, W) the network saw, and ``before``, the same without
        repair (``None`` where nothing was repaired); ``warnings`` with ``name``, ``message`` and
        ``fixed``; ``stages`` with ``name``, ``maps`` (K, P, Q) and ``top``, their largest value.

    Raises:
        CnnzooError: the picture is blank, or the model cannot be used.
    """
    ready = network.preprocessing
    if drawn and ready.channels == 1:
        picture = Picture(picture.pixels[..., :1], picture.name)
    prepared = prepare(picture, ready, autofix=repair)
    if "blank" in {warning.name for warning in prepared.warnings}:
        raise CnnzooError(EMPTY)
    before = prepare(picture, ready, autofix=False).image if prepared.fixed else None
    with network.lock:
        said = predict(network.model, prepared.image, preprocessing=ready, classes=network.classes)
        maps = _maps(network, prepared.image)
    return {
        "label": said.label,
        "probability": said.probability,
        "probabilities": list(said.probabilities.items()),
        "seen": pack(prepared.image),
        "before": None if before is None else pack(before),
        "warnings": [
            {"name": each.name, "message": each.message, "fixed": each.name in prepared.fixed}
            for each in prepared.warnings
        ],
        "stages": [
            {"name": name, "maps": pack(each), "top": float(each.max())}
            for name, each in maps.items()
        ],
    }


def _maps(network: Network, image: Tensor) -> dict[str, Tensor]:
    """Return the feature maps (K, P, Q) of every stage; none for a model that names no stages."""
    if not getattr(network.model, "stages", {}):
        return {}
    with torch.no_grad():
        found = features(network.model, network.preprocessing(image[None]))
    return {name: each[0] for name, each in found.items() if each.dim() == 4}
