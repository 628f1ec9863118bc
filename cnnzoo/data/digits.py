"""1,797 handwritten digits that come with scikit-learn: real data without network or files.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository, 1998, doi:10.24432/C50P49; scikit-learn carries its test set, by 13 writers.
Licence: CC BY 4.0. Citation: C. Kaynak, "Methods of Combining Multiple Classifiers and Their
Applications to Handwritten Digit Recognition", MSc thesis, Bogazici University, 1995.

The split: of every digit, the fifth, tenth, … picture in file order is for testing. The source does
not say who wrote what, but writers seem to follow each other, so both parts hold the same hands and
the test accuracy is that of familiar ones. With the last fifth of every digit for testing instead
(mostly unfamiliar hands) the tutorial's network reached 0.91 to 0.95, and 0.97 to 0.99 here.
"""

from __future__ import annotations

import os
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnnzoo.data._base import DataSplits, make_splits
from cnnzoo.registry import register_dataset

Integers: TypeAlias = NDArray[np.int64]

INK = 16  # the darkest value of the source
CELLS, SIDE, MARGIN = 8, 20, 4  # 8x8 cells become 20x20 pixels in a frame of 28x28, as in MNIST


@register_dataset("digits", aliases=("sklearn_digits",))
def digits(root: str | os.PathLike[str] | None = None) -> DataSplits:
    """Embedded handwritten digits, 1,442 + 355 grey 28x28; needs no network.

    White on black like MNIST, enlarged from 8x8: the strokes are broader than a pen's.

    Args:
        root: not used; taken so that changing the name is all it takes to change the data.

    Returns:
        Train and test set, classes ``"0"`` to ``"9"``.
    """
    from sklearn.datasets import load_digits  # one second; only this data set needs it

    source = load_digits()
    images = _enlarge(source.images.astype(np.int64))
    labels = source.target.astype(np.int64)
    test = _every_fifth(labels)
    classes = [str(digit) for digit in range(10)]
    return make_splits(
        "digits", classes, (images[~test], labels[~test]), (images[test], labels[test])
    )


def _every_fifth(labels: Integers) -> NDArray[np.bool_]:
    """Mark every fifth image of each class."""
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels == label)[4::5]] = True
    return chosen


def _enlarge(cells: Integers) -> NDArray[np.uint8]:
    """Cells (N, 8, 8) of 0..16 to pixels (N, 28, 28) of 0..255, bicubic, black around.

    In whole numbers throughout: the same bytes, hence the same fingerprint, on every machine.
    """
    weights, one = _bicubic()
    ink = weights @ cells @ weights.T  # (N, 20, 20), in units of 1 / (16 one²)
    whole = INK * one * one
    pixels = ((255 * ink + whole // 2) // whole).clip(0, 255)  # the kernel overshoots at edges
    return np.pad(pixels, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))).astype(np.uint8)


def _bicubic() -> tuple[Integers, int]:
    """Weights (20, 8) of Keys' cubic kernel (a = -1/2, 1981), and the number that stands for 1.

    Pixel i lies at cell (4i - 3)/10, so distances are tenths t and every weight is n / 2000.
    """
    pixel, cell = np.arange(SIDE)[:, None], np.arange(CELLS)[None, :]
    t = np.abs(4 * pixel - 3 - 10 * cell)  # (20, 8)
    near = 3 * t**3 - 50 * t**2 + 2000
    far = -(t**3) + 50 * t**2 - 800 * t + 4000
    return np.where(t < 10, near, np.where(t < 20, far, 0)), 2000
