"""What travels in the file beside the network: classes, preprocessing, spec.

Plain text under plain keys, so that a program in any language reads it without a parser:

    cnnzoo.classes   the names, one a line, in the order of the logits
    cnnzoo.size      C H W of the images
    cnnzoo.mean      one number a channel, in units of 0..1
    cnnzoo.std       likewise: input = (pixel / 255 - mean) / std
    cnnzoo.spec      JSON that `cnnzoo.build` rebuilds, without the weights

What the model does not know is left out.
"""

from __future__ import annotations

import json

from torch import nn


def facts_of(model: nn.Module) -> dict[str, str]:
    """Gather what the model knows of itself.

    >>> import cnnzoo
    >>> facts = facts_of(cnnzoo.build("mnist_cnn", weights="mnist"))
    >>> facts["cnnzoo.size"], facts["cnnzoo.classes"].splitlines()[:3]
    ('1 28 28', ['0', '1', '2'])
    """
    facts = {}
    classes = getattr(model, "classes", None)
    if classes:
        facts["cnnzoo.classes"] = "\n".join(" ".join(str(name).splitlines()) for name in classes)
    ready = getattr(model, "preprocessing", None)
    if ready is not None:
        facts["cnnzoo.size"] = f"{ready.channels} {ready.height} {ready.width}"
        facts["cnnzoo.mean"] = " ".join(map(repr, ready.mean))
        facts["cnnzoo.std"] = " ".join(map(repr, ready.std))
    spec = getattr(model, "spec", None)
    if spec:
        facts["cnnzoo.spec"] = json.dumps(spec)
    return facts
