"""Several augmentations, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from torch import Tensor

from cnnzoo.train.augment._affine import Affine, Fused
from cnnzoo.train.augment._base import Augmentation


class Chain(Augmentation):
    """Applies its members in order; the numbers of the first come first.

    Affine members that follow each other become one interpolation, unless all of them move whole
    pixels, which is exact.

    Args:
        members: augmentations, named ones or your own.

    >>> from cnnzoo.train.augment.flip import Flip
    >>> from cnnzoo.train.augment.shift import Shift
    >>> str(Chain([Shift(2), Flip()]))
    'shift=2,flip=0.5'
    """

    def __init__(self, members: Sequence[Augmentation]) -> None:
        self.members = tuple(members)
        self.draws = sum(member.draws for member in self.members)
        self._stages: list[Augmentation] = []
        for _, run in groupby(self.members, lambda member: isinstance(member, Affine)):
            self._stages += _fuse(list(run))

    def apply(self, images: Tensor, numbers: Tensor) -> Tensor:
        parts = numbers.split([stage.draws for stage in self._stages], 1)
        for stage, part in zip(self._stages, parts, strict=True):
            images = stage.apply(images, part)
        return images

    def __str__(self) -> str:
        return ",".join(map(str, self.members))


def _fuse(run: list[Augmentation]) -> list[Augmentation]:
    """Return as few stages as the run, all affine or none, can be."""
    affine = [member for member in run if isinstance(member, Affine)]
    if len(affine) < 2 or all(member.exact for member in affine):
        return run
    return [Fused(affine)]
