"""`cnnzoo.build`: a model by name, new or with trained weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnzoo import registry
from cnnzoo.errors import CnnzooError

if TYPE_CHECKING:
    from torch import nn


def build(
    model: str | Mapping[str, Any],
    /,
    *,
    weights: str | os.PathLike[str] | None = None,
    adapt: bool = False,
    **overrides: Any,
) -> nn.Module:
    """Build a model by name, or rebuild one from the ``spec`` of another.

    Args:
        model: a registered name (see `cnnzoo.list_models`), or a spec: ``{"model": …,
            "arguments": …}``.
        weights: ``None``: new ones. Otherwise the name of bundled ones (``"mnist"``: see
            `cnnzoo.list_weights`); the path of a .safetensors file or a run folder; or
            ``"https://…/file.safetensors#sha256=<64 hexadecimal digits>"``. Bundled and downloaded
            files are checked by their SHA-256, and nothing is ever unpickled.
        adapt: change weights that were trained for other channels, classes or image sizes: grey and
            RGB become each other in the first convolution, the head is drawn anew.
        **overrides: keyword arguments of the model, such as ``num_classes=3``.

    Returns:
        The model, with its recipe in ``model.spec``: JSON that rebuilds it, all arguments included
        and no weights. With ``weights`` it is in evaluation mode and ready for `cnnzoo.predict`: it
        has ``classes``, ``preprocessing`` and, in ``adapted``, what was changed.

    Raises:
        CnnzooError: unknown name or keyword (the nearest is suggested), an input too small for the
            model, an argument that JSON cannot hold; or weights that are unknown, damaged, of
            another model, or for other channels, classes or sizes without ``adapt``.

    >>> model = build("mnist_cnn", num_classes=3)
    >>> model.spec["arguments"]["num_classes"], build(model.spec).spec == model.spec
    (3, True)
    >>> build("mnist_cnn", weights="mnist").classes[:3]
    ('0', '1', '2')
    """
    if weights is None:
        if adapt:
            raise CnnzooError("adapt=True changes trained weights: give weights=, too.")
        return registry.build(model, **overrides)
    from cnnzoo.weights import load_weights

    return load_weights(weights, model, adapt=adapt, **overrides)
