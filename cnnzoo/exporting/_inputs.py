"""What a program is traced with, and what the file is compared with the model on.

Real images where there are some that fit: the digits that come with scikit-learn. What a network
computes for noise is often the same whatever is wrong with it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cnnzoo.errors import CnnzooError

BATCHES = (1, 7, 56)  # of images that cost little; any batch size is tried with two others


class Trial(NamedTuple):
    """What the file is compared on: batches, and what they are, in words."""

    batches: list[Tensor]
    words: str


def example_of(model: nn.Module, example_input: Tensor | None) -> Tensor:
    """Return the caller's example, or one image of the size that the model was built for.

    Raises:
        CnnzooError: the example is no batch, or there is none and the model does not tell.
    """
    if example_input is not None:
        if not isinstance(example_input, Tensor) or example_input.dim() < 1:
            got = (
                f"a tensor of shape {tuple(example_input.shape)}"
                if isinstance(example_input, Tensor)
                else type(example_input).__name__
            )
            raise CnnzooError(f"example_input: expected a batch such as (N, C, H, W); got {got}.")
        if not len(example_input):
            raise CnnzooError("example_input: expected at least one image; got none.")
        return example_input.detach()
    size, channels = getattr(model, "image_size", None), getattr(model, "in_channels", None)
    size = (size, size) if isinstance(size, int) else size
    if not isinstance(channels, int) or not isinstance(size, tuple | list):
        raise CnnzooError(
            f"{type(model).__name__} does not tell the size of its images: pass example_input= "
            "(--input), a batch (N, C, H, W)."
        )
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    shape = (1, channels, *map(int, size))
    return _noise(shape, torch.empty(0, dtype=weight.dtype, device=weight.device))


def trial_of(model: nn.Module, example: Tensor, *, given: bool, dynamic_batch: bool) -> Trial:
    """Return what to compare on.

    Args:
        model: whose preprocessing real images go through.
        example: from `example_of`.
        given: whether it came from the caller: random images are then not all there is.
        dynamic_batch: whether other batch sizes are to be tried; otherwise that of the example.
    """
    if tuple(example.shape[1:]) == (1, 28, 28) and example.is_floating_point():
        sizes = BATCHES if dynamic_batch else (len(example),) * max(1, 64 // len(example))
        images = _digits(model, sum(sizes)).to(example.device, example.dtype)
        return Trial(list(images.split(sizes)), f"{len(images)} digits")
    if not example.is_floating_point():
        return Trial([example], "the example")  # what its numbers may be is not known
    sizes = BATCHES[:2] if dynamic_batch else (len(example),)
    images = _noise((sum(sizes), *example.shape[1:]), example)
    own = [example] if given else []
    words = f"{len(images)} random images" + (" and the example" if own else "")
    return Trial([*own, *images.split(sizes)], words)


def _digits(model: nn.Module, count: int) -> Tensor:
    """Digits (count, 1, 28, 28) as the model wants them; the first again where there are too few.

    The preprocessing of the digits stands in where the model has none.
    """
    from cnnzoo.data import load_data

    test = load_data("digits").test
    images = test.images[torch.arange(count) % len(test.images)]
    own = getattr(model, "preprocessing", None)
    fits = own is not None and (own.channels, own.height, own.width) == (1, 28, 28)
    scale: Any = own if fits else test.preprocessing
    scaled: Tensor = scale(images)
    return scaled


def _noise(shape: tuple[int, ...], like: Tensor) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=draw).to(like.device, like.dtype)
