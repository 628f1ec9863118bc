"""Augmentation of whole batches: images and uniform numbers in, changed images out.

    _base.py      `Augmentation`, what every one is; `Named`, one with a name and a parameter
    _affine.py    a matrix an image, one interpolation however many of them follow each other
    _gather.py    whole pixels, moved without interpolation
    _chain.py     several, one after the other
    shift.py rotate.py zoom.py shear.py crop.py flip.py cutout.py    one augmentation a file

To add one, add a file: ``invert.py`` with a class ``Invert(Named)`` becomes the name ``invert``.
Nothing else has to know about it.

Letters: N images, C channels, H height, W width, D uniform numbers for an image. Labels never
change. Images are preprocessed when they arrive, so 0 is not the background: what enters from
outside the image is made of the image.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from cnnzoo.errors import CnnzooError, did_you_mean
from cnnzoo.lazy import lazy_names

if TYPE_CHECKING:
    from torch import Tensor

    from cnnzoo.train.augment._base import Augmentation as Augmentation
    from cnnzoo.train.augment._base import Named as Named
    from cnnzoo.train.augment._chain import Chain as Chain

_HOME = {
    "Augmentation": "cnnzoo.train.augment._base",
    "Chain": "cnnzoo.train.augment._chain",
    "Named": "cnnzoo.train.augment._base",
}
__all__ = [*_HOME, "augmentation_info", "augmentation_names", "draw", "make_augmentation"]
__getattr__ = lazy_names(__name__, _HOME)


def make_augmentation(text: str) -> Augmentation | None:
    """Return the augmentation that ``text`` describes.

    Args:
        text: names with commas between them, in the order of application; ``=number`` after a
            name replaces its default. Case and spaces do not matter. ``str()`` gives it back.

    Returns:
        One augmentation; for an empty text ``None``.

    Raises:
        CnnzooError: an unknown name (the nearest is suggested), or a value that is no number or
            out of range.

    >>> augmentation = make_augmentation("shift=2,rotate=10,flip")
    >>> str(augmentation), augmentation.draws
    ('shift=2,rotate=10,flip=0.5', 4)
    """
    if not isinstance(text, str):
        raise CnnzooError(
            f'An augmentation is described by a string such as "shift=2,flip"; got {text!r}.'
        )
    if not text.strip():
        return None
    members = [_make_one(each) for each in text.split(",")]
    if len(members) == 1:
        return members[0]
    from cnnzoo.train.augment._chain import Chain

    return Chain(members)


def draw(augmentation: Augmentation, count: int, *key: int) -> Tensor:
    """Return the uniform numbers for ``count`` images; they depend on ``key`` alone.

    Draw for the whole global batch and hand every process its rows: then each image changes in
    the same way however many processes share the work.

    Args:
        augmentation: from `make_augmentation`.
        count: images in the batch.
        *key: whole numbers, such as seed, epoch, step.

    Returns:
        float32 (count, D) on the CPU, at least 0 and below 1.

    >>> augmentation = make_augmentation("shift=2")
    >>> numbers = draw(augmentation, 64, 0, 1, 5)  # seed, epoch, step
    >>> numbers.shape, bool((draw(augmentation, 64, 0, 1, 5) == numbers).all())
    (torch.Size([64, 2]), True)
    """
    import torch

    from cnnzoo.seeds import private_generator

    return torch.rand(
        count, augmentation.draws, generator=private_generator(*key), dtype=torch.float32
    )


def augmentation_names() -> list[str]:
    """List the names in alphabetical order; nothing is imported.

    >>> "shift" in augmentation_names()
    True
    """
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def augmentation_info(name: str) -> type[Named]:
    """Return the class of an augmentation: ``summary``, ``parameter`` and ``draws``.

    Raises:
        CnnzooError: the name is unknown; the nearest is suggested.

    >>> shift = augmentation_info("shift")
    >>> shift.parameter.default, shift.parameter.most
    (2, 1024)
    """
    known = augmentation_names()
    folded = name.casefold()
    if folded not in known:
        raise CnnzooError(
            f'Unknown augmentation "{name}".{did_you_mean(name, known)} '
            f'Known: {", ".join(known)}; several look like "shift=2,flip".'
        )
    module = importlib.import_module(f"{__name__}.{folded}")
    found: type[Named] = getattr(module, folded.capitalize())
    return found


def _make_one(item: str) -> Named:
    """Read ``shift=2`` or ``shift``."""
    name, equals, amount = (part.strip() for part in item.partition("="))
    kind = augmentation_info(name)
    if not equals:
        return kind()
    try:
        return kind(float(amount))
    except ValueError as error:  # CnnzooError is one, and says it better
        if isinstance(error, CnnzooError):
            raise
        raise CnnzooError(kind.bad(amount)) from None
