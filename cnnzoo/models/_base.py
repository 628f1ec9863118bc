"""What the zoo's classifiers share: the arguments every model takes and the check of its input."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn

from cnnzoo.errors import CnnzooError


class ImageClassifier(nn.Module):
    """Maps images (N, C, H, W) to logits (N, num_classes).

    Logits, not probabilities: `torch.nn.CrossEntropyLoss` applies the softmax itself, and applying
    it twice is a mistake that learns slowly and never shows an error.

    Args:
        in_channels: C; 1 for grey images, 3 for RGB.
        num_classes: number of classes.
        image_size: H and W, or one number for both.

    Attributes:
        spec: JSON that rebuilds the model, set by `cnnzoo.build`; ``None`` when built by hand.
        stages: name of a stage → dotted path of the module whose output is its feature map
            (N, K, P, Q), in the order they run: ``{"conv1": "features.0"}``. A name once given
            stays, whatever becomes of the modules.

    Raises:
        CnnzooError: an argument is not a positive integer.
    """

    spec: dict[str, Any] | None = None
    stages: dict[str, str]

    def __init__(
        self, in_channels: int, num_classes: int, image_size: int | tuple[int, int]
    ) -> None:
        super().__init__()
        pair: list[int] = []
        pair += image_size if isinstance(image_size, tuple | list) else [image_size, image_size]
        values = {"in_channels": [in_channels], "num_classes": [num_classes], "image_size": pair}
        for name, numbers in values.items():
            if not all(type(n) is int and n > 0 for n in numbers):
                raise CnnzooError(f"{name} must be a positive integer; got {numbers[-1]!r}.")
        if len(pair) != 2:
            raise CnnzooError(f"image_size is an int or (height, width); got {image_size!r}.")
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.image_size = (pair[0], pair[1])
        self.stages = {}

    def check_input(self, x: Tensor) -> None:
        """Raise a `CnnzooError` unless ``x`` is a batch of the images this model was built for."""
        _check_images(x, type(self).__name__, (self.in_channels, *self.image_size))


@fx.wrap  # a check reads the shape, which torch.fx has not: it writes down the call instead
def _check_images(x: Tensor, name: str, wanted: tuple[int, int, int]) -> None:
    if tuple(x.shape[1:]) == wanted and x.dim() == 4:
        return
    expected = "(N, {}, {}, {})".format(*wanted)
    if tuple(x.shape) == wanted:
        raise CnnzooError(f"{name} expects a batch {expected}; got one image: use x[None].")
    raise CnnzooError(
        f"{name} was built for images {expected}; got {tuple(x.shape)}. "
        "Resize the images, or build it with the in_channels= and image_size= they have."
    )
