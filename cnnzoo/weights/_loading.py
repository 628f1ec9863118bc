"""A model with trained weights, from wherever they come."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from cnnzoo.errors import CnnzooError
from cnnzoo.filling import fill
from cnnzoo.model_file import build_spec, read_model_file
from cnnzoo.registry import models, read_spec
from cnnzoo.weights._adapting import Shape, adapt_preprocessing, adapt_weights
from cnnzoo.weights._source import find


def load_weights(
    weights: str | os.PathLike[str],
    model: str | Mapping[str, Any] | None = None,
    /,
    *,
    adapt: bool = False,
    **overrides: Any,
) -> nn.Module:
    """Build a model with trained weights; ``cnnzoo.build(model, weights=…)`` is this.

    Args:
        weights: name of bundled weights (``"mnist"``: see `cnnzoo.list_weights`); the path of a
            .safetensors file or a run folder; or
            ``"https://…/file.safetensors#sha256=<64 hexadecimal digits>"``.
        model: a registered name or a spec; ``None``: the one the weights are of.
        adapt: change weights that were trained for other channels, classes or image sizes: grey and
            RGB become each other in the first convolution, the head is drawn anew from torch's
            generator.
        **overrides: keyword arguments of the model; the others are as in training.

    Returns:
        The model in evaluation mode, ready for `cnnzoo.predict`: with ``classes`` (empty, where
        their number changed) and ``preprocessing``, and in ``adapted`` what was changed, a clause
        each.

    Raises:
        CnnzooError: there are no such weights, they are damaged or of another model, or they need
            ``adapt=True`` or cannot be adapted.

    >>> load_weights("mnist").classes[:3]
    ('0', '1', '2')
    >>> load_weights("mnist", "mnist_cnn", num_classes=3, adapt=True).adapted
    ('fc2 is drawn anew for 3 classes of grey images of 28 × 28',)
    """
    name, given = (None, {}) if model is None else read_spec(model)
    wanted = None if name is None else models.info(name).name
    source = find(weights, wanted)
    file = read_model_file(source.path)
    theirs = file.spec.get("model") if isinstance(file.spec, dict) else None
    if wanted and theirs and models.info(theirs).name != wanted:
        raise CnnzooError(f'{source.whose} are of the model "{theirs}", not of "{wanted}".')
    built: Any = build_spec(file.spec, source.path, **given, **overrides)
    then, now = Shape.of(file.spec), Shape.of(built.spec)
    tensors, classes, ready = file.weights, file.classes, file.preprocessing
    changes: list[str] = []
    if then and now and then != now:
        if not adapt:
            raise CnnzooError(
                f"{source.whose} are for {then}, the model that was asked for is for {now}. "
                "adapt=True keeps what fits and draws the head anew, to be trained."
            )
        tensors, changes = adapt_weights(tensors, built, then, now, source.whose)
        ready = adapt_preprocessing(ready, then, now)
        classes = classes if then.classes == now.classes else ()
    fill(built, tensors, source.whose, built.spec["model"])
    built.classes, built.preprocessing, built.adapted = classes, ready, tuple(changes)
    return built.eval()
