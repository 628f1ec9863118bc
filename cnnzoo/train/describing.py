"""What a trained model says of itself: the names of its classes, how pictures become its input."""

from __future__ import annotations

from typing import Any

from torch import nn

from cnnzoo.errors import CnnzooError


def describe(model: nn.Module, train: Any) -> None:
    """Tell ``model`` what its training set says, so that `cnnzoo.predict` can use it alone.

    Args:
        model: gets the attributes ``classes``, a tuple, and ``preprocessing``.
        train: an image set, a torch ``Dataset``, or a ``DataLoader`` of one; facts it lacks stay
            empty.

    Raises:
        CnnzooError: the data set has another number of classes than the model has outputs.
    """
    source = getattr(train, "dataset", train)  # that of a DataLoader
    classes = getattr(source, "classes", None)
    outputs = getattr(model, "num_classes", None)
    if classes is not None and outputs is not None and len(classes) != outputs:
        raise CnnzooError(
            f"The model has {outputs} outputs, the data set {len(classes)} classes: build the "
            f"model with num_classes={len(classes)}."
        )
    facts: Any = model  # plain attributes of a module, which its type does not know
    facts.classes = tuple(classes or ())
    facts.preprocessing = getattr(source, "preprocessing", None)
